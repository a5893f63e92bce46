"""Every tensor gets exactly one ratio, for every architecture, and a search space that cannot do so says why."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace

SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
SELF_ATTN = [f"self_attn.{x}_proj.weight" for x in "qkvo"]
NORMS = ["input_layernorm.weight", "post_attention_layernorm.weight"]
LLAMA = [*SELF_ATTN, *NORMS, *(f"mlp.{x}_proj.weight" for x in ("gate", "up", "down"))]
GEMMA = [*LLAMA, "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"]
EXPERTS = [f"block_sparse_moe.experts.{i}.w{j}.weight" for i in range(4) for j in (1, 2, 3)]
HUGGING = ("model.embed_tokens.weight",), "model.layers.", ("model.norm.weight",), "lm_head.weight"
NEOX = ("gpt_neox.embed_in.weight",), "gpt_neox.layers.", ("gpt_neox.final_layer_norm.bias",), "embed_out.weight"
DECODER = "model.decoder."


def both(*modules: str) -> list[str]:
    return [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]


GPT2 = both("attn.c_attn", "attn.c_proj", "ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj")

# Input tensors, prefix of a layer, tensors of a layer, final norm, output head.
ARCHITECTURES: dict[str, tuple[tuple[str, ...], str, list[str], tuple[str, ...], str]] = {
    "llama": (*HUGGING[:2], LLAMA, *HUGGING[2:]),
    "mistral": (*HUGGING[:2], LLAMA, *HUGGING[2:]),
    "qwen2": (*HUGGING[:2], [*LLAMA, "self_attn.q_proj.bias"], *HUGGING[2:]),
    "qwen3": (*HUGGING[:2], [*LLAMA, "self_attn.q_norm.weight", "self_attn.k_norm.weight"], *HUGGING[2:]),
    "gemma2": (*HUGGING[:2], GEMMA, *HUGGING[2:]),
    "phi3": (
        *HUGGING[:2],
        [
            "self_attn.qkv_proj.weight",
            "self_attn.o_proj.weight",
            "mlp.gate_up_proj.weight",
            "mlp.down_proj.weight",
            *NORMS,
        ],
        *HUGGING[2:],
    ),
    "mixtral": (*HUGGING[:2], [*SELF_ATTN, *NORMS, "block_sparse_moe.gate.weight", *EXPERTS], *HUGGING[2:]),
    "gpt_neox": (
        *NEOX[:2],
        both("attention.dense", "attention.query_key_value", "mlp.dense_4h_to_h", "mlp.dense_h_to_4h")
        + both("input_layernorm", "post_attention_layernorm"),
        *NEOX[2:],
    ),
    "opt": (
        (DECODER + "embed_tokens.weight", DECODER + "embed_positions.weight"),
        DECODER + "layers.",
        both("fc1", "fc2", "final_layer_norm", "self_attn_layer_norm", "self_attn.q_proj", "self_attn.out_proj"),
        (DECODER + "final_layer_norm.weight",),
        "lm_head.weight",
    ),
    "gpt2": (("wte.weight", "wpe.weight"), "h.", GPT2, ("ln_f.weight",), "lm_head.weight"),
    "gpt2 with a prefix": (
        ("transformer.wte.weight", "transformer.wpe.weight"),
        "transformer.h.",
        GPT2,
        ("transformer.ln_f.weight",),
        "lm_head.weight",
    ),
}


def tensors_of(architecture: str, layers: int, tied: bool = False) -> list[str]:
    inputs, prefix, inside, norm, head = ARCHITECTURES[architecture]
    outputs = norm if tied else (*norm, head)
    return [*inputs, *(f"{prefix}{layer}.{name}" for layer in range(layers) for name in inside), *outputs]


any_model = st.builds(tensors_of, st.sampled_from(sorted(ARCHITECTURES)), st.integers(6, 40), st.booleans()).flatmap(
    st.permutations
)


@given(any_model, st.sampled_from([path.stem for path in SHIPPED if "example" not in path.stem]))
def test_every_tensor_is_in_exactly_one_group(tensors: list[str], space: str) -> None:
    groups = SearchSpace.load(space).resolve(tensors)
    assert sorted(groups.of) == sorted(tensors)
    assert set(groups.of.values()) == set(groups.names) == set(groups.ranges)
    assert len(set(groups.names)) == len(groups.names)
    ratios = {name: i / len(groups.names) for i, name in enumerate(groups.names)}
    assert groups.shares_of(ratios) == {tensor: (ratios[groups.of[tensor]],) for tensor in tensors}


@given(st.integers(1, 60), st.integers(1, 60))
def test_parts_are_consecutive_even_and_larger_ones_last(layers: int, parts: int) -> None:
    space = SearchSpace.load({"groups": [{"name": "part-{part}", "parts": parts}]})
    tensors = tensors_of("llama", layers)
    if parts > layers:
        with pytest.raises(UserError, match=rf"'part-{{part}}' wants {parts} parts .* has {layers} layers"):
            space.resolve(tensors)
        return
    groups = space.resolve(tensors)
    part = [groups.of[f"model.layers.{i}.mlp.up_proj.weight"] for i in range(layers)]
    sizes = [Counter(part)[f"part-{k}"] for k in range(1, parts + 1)]
    assert part == sorted(part, key=lambda name: int(name.removeprefix("part-")))
    assert sizes == sorted(sizes) and sizes[-1] - sizes[0] <= 1
    assert groups.names == tuple(f"part-{k}" for k in range(1, parts + 1))
    assert groups.of["model.embed_tokens.weight"] == "part-1"
    assert groups.of["lm_head.weight"] == groups.of["model.norm.weight"] == f"part-{parts}"


def test_the_papers_26_layers_in_three_parts() -> None:
    groups = SearchSpace.load("three-parts").resolve(tensors_of("llama", 26))
    first_of_part = [groups.of[f"model.layers.{i}.mlp.up_proj.weight"] for i in (0, 7, 8, 16, 17, 25)]
    assert first_of_part == ["part-1", "part-1", "part-2", "part-2", "part-3", "part-3"]


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("tied", [False, True])
def test_per_layer_names_in_order_of_depth(architecture: str, tied: bool) -> None:
    tensors = tensors_of(architecture, 12, tied)
    groups = SearchSpace.load("per-layer").resolve(list(reversed(tensors)))
    assert groups.names == ("embed", *(f"layer-{i}" for i in range(12)), "head")
    inputs, prefix, _, norm, head = ARCHITECTURES[architecture]
    assert {groups.of[name] for name in inputs} == {"embed"}
    assert {groups.of[name] for name in (*norm, *(() if tied else (head,)))} == {"head"}
    assert {groups.of[name] for name in tensors if name.startswith(f"{prefix}11.")} == {"layer-11"}


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_norms_go_with_the_block_they_feed(architecture: str) -> None:
    groups = SearchSpace.load("attention-mlp").resolve(tensors_of(architecture, 2))
    assert groups.names == (
        *("embed", "layer-0-attention", "layer-0-mlp"),
        *("layer-1-attention", "layer-1-mlp", "head"),
    )
    before_attention = ("input_layernorm", "ln_1", "self_attn", "attn", "attention")
    for tensor, group in groups.of.items():
        if group.startswith("layer-"):
            module = tensor.partition(".0.")[2] or tensor.partition(".1.")[2]
            assert group.endswith("attention") == module.startswith(before_attention), tensor


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_search_spaces_load_by_name_and_say_when_to_use_them(path: Path) -> None:
    space = SearchSpace.load(path.stem)
    assert space.model_dump() == SearchSpace.load(str(path)).model_dump()
    assert len(space.description) > 20
    assert "\n" not in space.description
    assert space.resolve(tensors_of("llama", 8)).names


def test_a_rule_may_have_its_own_range() -> None:
    groups = SearchSpace.load("example-patterns").resolve(tensors_of("llama", 4))
    assert groups.ranges["embeddings"] == (0.0, 0.5)
    assert groups.ranges["mlp-2"] == (0.0, 1.0)


def test_a_range_may_extrapolate_and_the_run_files_takes_the_place_of_the_spaces() -> None:
    space = {"groups": [{"name": "head", "side": "output", "range": [0, 0.5]}, {"name": "all"}], "range": [0.5, 2]}
    own = SearchSpace.load(space).resolve(tensors_of("llama", 2))
    assert own.ranges == {"head": (0.0, 0.5), "all": (0.5, 2.0)}
    given = SearchSpace.load(space, (0.0, 1.3)).resolve(tensors_of("llama", 2))
    assert given.ranges == {"head": (0.0, 0.5), "all": (0.0, 1.3)}
    shipped = SearchSpace.load("per-layer", (0.0, 1.3)).resolve(tensors_of("llama", 2))
    assert set(shipped.ranges.values()) == {(0.0, 1.3)}


def test_groups_that_are_equal_in_both_checkpoints_have_no_ratio() -> None:
    tensors = tensors_of("llama", 4)
    moved = {name: float("self_attn" in name) for name in tensors}
    groups = SearchSpace.load("profile").resolve(tensors).without_still(moved)
    attention = tuple(f"layer-{layer}-attention" for layer in range(4))
    assert groups.names == tuple(groups.ranges) == tuple(groups.knots) == attention
    assert groups.still == ("embed", *(f"layer-{layer}-mlp" for layer in range(4)), "head")
    assert set(groups.shares_of(dict.fromkeys(attention, 0.5))) == {
        name for name in tensors if "self_attn" in name or "input_layernorm" in name
    }


def test_parts_and_globs_combine() -> None:
    rules = [
        {"name": "attention-{part}", "parts": 2, "tensors": ["*.self_attn.*"]},
        {"name": "rest"},
    ]
    groups = SearchSpace.load({"groups": rules, "range": [0.25, 0.75]}).resolve(tensors_of("llama", 4))
    assert groups.names == ("rest", "attention-1", "attention-2")
    assert groups.of["model.layers.2.self_attn.q_proj.weight"] == "attention-2"
    assert groups.ranges["rest"] == (0.25, 0.75)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("layers", [3, 12, 80])
def test_a_profile_has_eight_numbers_whatever_the_model(architecture: str, layers: int) -> None:
    tensors = tensors_of(architecture, layers)
    groups = SearchSpace.load("profile").resolve(tensors)
    assert len({knot for each in groups.knots.values() for knot in each}) == 6
    assert groups.names == SearchSpace.load("attention-mlp").resolve(tensors).names
    assert set(groups.names) - set(groups.knots) == {"embed", "head"}
    assert all(sum(each.values()) == pytest.approx(1) for each in groups.knots.values())
    assert groups.knots["layer-0-mlp"] == {"layer-@0-mlp": 1.0}
    assert groups.knots[f"layer-{layers - 1}-attention"] == {"layer-@2-attention": 1.0}


def test_more_knots_than_layers_are_refused() -> None:
    space = SearchSpace.load("profile")
    with pytest.raises(UserError, match=r"profile: the rule '.*-attention' wants 3 knots and makes 2 groups"):
        space.resolve(tensors_of("llama", 2))


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({}, r"space: groups: this field is missing \(the rules\)\."),
    ({"groups": []}, "space: groups: .*not empty"),
    ({"groups": [{"name": "a"}], "gruops": 1}, r"space: gruops: there is no such field; did you mean groups\?"),
    (
        {"groups": [{"name": "a", "globs": ["*"]}]},
        r"space: groups\.0\.globs: there is no such field; there are name, ",
    ),
    ({"groups": [{"name": "a"}], "range": [0.5, 0.5]}, r"space: range: \[0\.5, 0\.5\] is not a range"),
    ({"groups": [{"name": "a", "range": [0, 13]}]}, r"space: groups\.0\.range: \[0\.0, 13\.0\] is not a range"),
    ({"groups": [{"name": "a", "range": [-0.1, 1]}]}, r"0 <= low < high <= 2 has to hold"),
    ({"groups": [{"name": "a", "range": [0.0, float("nan")]}]}, r"0 <= low < high <= 2 has to hold"),
    ({"groups": [{"name": "a"}, {"name": "a"}]}, "space: groups: the name 'a' is used twice"),
    ({"groups": [{"name": "{part}"}]}, r"space: groups\.0: .*needs parts: K"),
    ({"groups": [{"name": "a", "parts": 3}]}, r"space: groups\.0: .*`parts` go together"),
    ({"groups": [{"name": "{layer}-{part}", "parts": 3}]}, r"space: groups\.0: .*one \{layer\} or one \{part\}"),
    ({"groups": [{"name": "{lyaer}"}]}, r"space: groups\.0: the name '\{lyaer\}'"),
    ({"groups": [{"name": "{layer}", "side": "input"}]}, r"space: groups\.0: .*drop `side`"),
    ({"groups": [{"name": "a", "knots": 3}]}, r"space: groups\.0: .*'a' needs a \{layer\}"),
    (
        {"groups": [{"name": "{layer}", "knots": 1}]},
        r"space: groups\.0\.knots: this is 1 .* at least 2",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), BAD_FIELDS)
def test_bad_fields_are_named(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        SearchSpace.load(fields)


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(UserError, match=r"per-leyer: .*attention-mlp, .*per-layer, .*uniform"):
        SearchSpace.load("per-leyer")


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    with pytest.raises(UserError, match=r"mine\.yaml: there is no such search space"):
        SearchSpace.load(str(path))
    path.write_text("groups: [", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml: not a readable YAML file"):
        SearchSpace.load(str(path))
    path.write_text("- a", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml: a search space is a mapping"):
        SearchSpace.load(str(path))
    path.write_text("groups: [{name: 'layer-{layer}'}]", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml: no rule takes model\.embed_tokens\.weight, .*lm_head"):
        SearchSpace.load(str(path)).resolve(tensors_of("llama", 2))


def test_leftovers_are_listed_and_counted() -> None:
    space = SearchSpace.load({"groups": [{"name": "mlp", "tensors": ["*.mlp.*"]}]})
    with pytest.raises(
        UserError, match=r"space: no rule takes model\.embed_tokens\.weight, .* and 12 more \(15 in all\)"
    ):
        space.resolve(tensors_of("llama", 2))


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([{"name": "a"}, {"name": "b"}], "the rule 'b' takes no tensor"),
        ([{"name": "b", "tensors": ["*.moe.*"]}, {"name": "a"}], "the rule 'b' takes no tensor"),
        (
            [{"name": "p-{part}", "parts": 2, "tensors": ["*.mlp.*"]}, {"name": "p-1"}],
            "two rules make a group named 'p-1'",
        ),
    ],
)
def test_rules_that_do_not_fit_the_model_are_named(rules: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        SearchSpace.load({"groups": rules}).resolve(tensors_of("llama", 2))


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(UserError, match=r"space: no layers found among conv1\.weight"):
        SearchSpace.load({"groups": [{"name": "a"}]}).resolve(["conv1.weight"])


def test_importing_it_is_light() -> None:
    heavy = "{'torch', 'ray', 'vllm', 'transformers'}"
    subprocess.run(
        [sys.executable, "-c", f"import sys, ama_ray.space.search_space; assert not {heavy} & set(sys.modules)"],
        check=True,
    )
