"""Bundled search spaces fit families whose parts have other names than Llama's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace

BUNDLED = sorted(
    path.stem for path in (Path(__file__).parents[2] / "search_spaces").glob("*.yaml") if "example" not in path.stem
)
OUTSIDE = {
    "gemma 3n": {
        "model.language_model.embed_tokens.weight": "embed",
        "model.language_model.embed_tokens_per_layer.weight": "embed",
        "model.language_model.per_layer_model_projection.weight": "embed",
        "model.language_model.per_layer_projection_norm.weight": "embed",
        "model.language_model.altup_projections.0.weight": "embed",
        "model.language_model.altup_unembed_projections.0.weight": "head",
        "model.language_model.norm.weight": "head",
    },
    "lfm2": {"model.embed_tokens.weight": "embed", "model.embedding_norm.weight": "head"},
    "bloom": {
        "word_embeddings.weight": "embed",
        "word_embeddings_layernorm.weight": "embed",
        "ln_f.weight": "head",
    },
    "nemotron-h": {"backbone.embeddings.weight": "embed", "backbone.norm_f.weight": "head", "lm_head.weight": "head"},
}
ATTENTION = (
    *("self_attn.q_proj.weight", "self_attn.sinks", "self_attn.kv_b_proj.weight", "linear_attn.A_log"),
    *("linear_attn.conv1d.weight", "mamba.dt_bias", "mamba.D", "conv.in_proj.weight", "mixer.A_log", "mixer.D"),
    *("mixer.q_proj.weight", "mixer.conv1d.bias", "self_attention.dense.weight", "operator_norm.weight"),
)
MLP = (
    *("mlp.up_proj.weight", "feed_forward.w1.weight", "mixer.up_proj.weight", "mixer.experts.3.down_proj.weight"),
    *("shared_mlp.input_linear.weight", "layer_scalar", "per_layer_input_gate.weight", "laurel.linear_left.weight"),
    *("mlp.gate.e_score_correction_bias", "block_sparse_moe.router.layer.weight", "ffn_norm.weight"),
)
ROUTERS = (
    *("mlp.gate.weight", "mlp.gate.e_score_correction_bias", "mlp.router.weight", "feed_forward.router.weight"),
    *("block_sparse_moe.router.layer.weight", "feed_forward.expert_bias", "mlp.shared_expert_gate.weight"),
    *("router.per_expert_scale", "mlp.gate.wg.weight"),
)
EXPERTS = (
    *("mlp.experts.0.up_proj.weight", "mlp.experts.gate_up_proj", "feed_forward.experts.7.w1.weight"),
    *("block_sparse_moe.input_linear.weight", "experts.down_proj"),
)
NEITHER = ("mlp.gate_proj.weight", "mlp.shared_expert.up_proj.weight", "mlp.up_proj.weight", "self_attn.q_proj.weight")


def resolved(space: str, inside: tuple[str, ...], layers: int = 3) -> dict[str, str]:
    """The group of every name of the second of some layers."""
    names = ["model.embed_tokens.weight", *(f"model.layers.{n}.{name}" for n in range(layers) for name in inside)]
    of = SearchSpace.load(space).resolve(names).of
    return {name: of[f"model.layers.1.{name}"] for name in inside}


@pytest.mark.parametrize("family", OUTSIDE)
def test_what_is_outside_the_layers(family: str) -> None:
    names = [*OUTSIDE[family], "model.layers.0.norm.weight"]
    of = SearchSpace.load("per-layer").resolve(names).of
    assert {name: of[name] for name in OUTSIDE[family]} == OUTSIDE[family]


@pytest.mark.parametrize("space", ["attention-mlp", "profile"])
def test_what_stands_in_the_place_of_attention_goes_with_it(space: str) -> None:
    of = resolved(space, ATTENTION + MLP)
    assert {name for name, group in of.items() if group == "layer-1-attention"} == set(ATTENTION)
    assert {name for name, group in of.items() if group == "layer-1-mlp"} == set(MLP)


def test_experts_and_routers_have_their_groups() -> None:
    of = resolved("experts", ROUTERS + EXPERTS + NEITHER)
    assert {name for name, group in of.items() if group == "routers"} == set(ROUTERS)
    assert {name for name, group in of.items() if group == "layer-1-experts"} == set(EXPERTS)
    assert {name for name, group in of.items() if group == "layer-1"} == set(NEITHER)


@pytest.mark.parametrize("space", BUNDLED)
def test_a_rule_of_a_bundled_space_may_take_nothing_and_one_of_a_users_may_not(space: str) -> None:
    names = [f"model.layers.{n}.conv.weight" for n in range(6)]
    assert set(SearchSpace.load(space).resolve(names).of) == set(names)
    own = SearchSpace.load(space).model_dump(exclude_none=True)
    if len(own["groups"]) > 1:
        with pytest.raises(UserError, match="space: the rule 'embed' takes no tensor"):
            SearchSpace.load(own).resolve(names)
