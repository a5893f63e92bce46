"""`aligned` may be a LoRA adapter: what is averaged is what PEFT's own merge gives."""

from __future__ import annotations

import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.adapter_settings import CONFIG
from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.lora import WEIGHTS
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from testing.checkpoints import LORA, add_tokens, copied, make_pair, write_adapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama", LORA),
    "all-linear": ("llama", LORA | {"target_modules": "all-linear"}),
    "patterns": (
        "llama",
        LORA | {"rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {"v_proj": 16}},
    ),
    "rslora": ("llama", LORA | {"use_rslora": True}),
    "dora": ("llama", LORA | {"use_dora": True, "target_modules": "all-linear"}),
    "dora-rslora": ("llama", LORA | {"use_dora": True, "use_rslora": True, "rank_pattern": {"q_proj": 2}}),
    "gpt2-dora": ("gpt2", {"r": 4, "target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True, "use_dora": True}),
    "saved-head": ("llama", LORA | {"modules_to_save": ["lm_head"]}),
    "saved-norm-and-embedding": ("llama", LORA | {"modules_to_save": ["norm", "embed_tokens"]}),
    "a-layer": ("llama", LORA | {"layers_to_transform": [0]}),
    "embeddings": ("llama", LORA | {"target_modules": ["embed_tokens", "up_proj"]}),
    "gpt2": ("gpt2", {"r": 4, "target_modules": ["c_attn", "c_fc", "c_proj"], "fan_in_fan_out": True}),
    "gpt2-head": ("gpt2", {"r": 4, "target_modules": ["c_proj", "lm_head"]}),
    "square-told-otherwise": ("llama", LORA | {"target_modules": ["q_proj", "o_proj"], "fan_in_fan_out": True}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pair_with_an_adapter_is_peft_s_merge(form: str, dtype: torch.dtype, tmp_path: Path) -> None:
    architecture, settings = FORMS[form]
    base, _ = make_pair(tmp_path, architecture, layers=2, tied=form == "gpt2", dtype=dtype)
    merged = write_adapter(base, tmp_path / "adapter", **settings)
    pair: Pair = pickle.loads(pickle.dumps(Pair.open(str(base), str(tmp_path / "adapter"))))
    assert pair.dtype == dtype
    streamed = {name: (ours, theirs) for name, ours, (theirs,) in pair.tensors()}
    stored = load_file(base / "model.safetensors")
    assert streamed.keys() == stored.keys()
    for name, (ours, theirs) in streamed.items():
        assert torch.equal(ours, stored[name])
        assert theirs.dtype == dtype
        # PEFT rounds the product for embeddings before it adds it, and DoRA's norms.
        rounding = torch.finfo(dtype).eps * float((theirs - ours).abs().max()) * (1 + 3 * ("dora" in form))
        torch.testing.assert_close(theirs, merged[name], rtol=2 * torch.finfo(dtype).eps, atol=1e-6 + rounding)
        assert (pair.moved[name] == 0) == torch.equal(ours, theirs)
    touched = [name for name, distance in pair.moved.items() if distance]
    assert 0 < len(touched) < len(streamed)

    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merge")
    exported = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merge").state_dict()
    for name, (ours, theirs) in streamed.items():
        assert torch.equal(exported[name], interpolate(ours, theirs, 0.5))
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "merge").get_vocab()


def test_the_adapter_s_own_tokenizer_and_chat_template_are_used(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1)
    write_adapter(base, tmp_path / "adapter", **LORA)
    plain = Pair.open(str(base), str(tmp_path / "adapter"))
    assert plain.engine_folder == plain.tokenizer_folder == base
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = "{{ messages }}"
    tokenizer.save_pretrained(tmp_path / "adapter")
    pair = Pair.open(str(base), str(tmp_path / "adapter"))
    assert (pair.engine_folder, pair.tokenizer_folder) == (base, tmp_path / "adapter")
    merging.export(pair, dict.fromkeys(pair.names, (1.0,)), tmp_path / "merge")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "merge").chat_template == "{{ messages }}"


def test_an_adapter_may_add_tokens(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1)
    whole = write_adapter(base, tmp_path / "adapter", "<|im_start|>", "<|im_end|>", **LORA)
    pair = Pair.open(str(base), str(tmp_path / "adapter"))
    assert (pair.vocabulary_size, pair.starts_on, pair.is_streamed) == (302, 1, True)
    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merge")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merge").state_dict()
    stored = load_file(base / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        torch.testing.assert_close(merged[name][:300], (stored[name] + whole[name][:300]) / 2)
        assert torch.equal(merged[name][300:], whole[name][300:])
    assert any("'<|im_start|>', '<|im_end|>' are in aligned's vocabulary alone" in told for told in pair.warnings)


def test_new_tokens_of_an_adapter_in_padding_of_base_are_its_own(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1)
    add_tokens(base, multiple_of=64)
    whole = write_adapter(base, tmp_path / "adapter", **LORA | {"modules_to_save": ["embed_tokens", "lm_head"]})
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    tokenizer.save_pretrained(tmp_path / "adapter")
    pair = Pair.open(str(base), str(tmp_path / "adapter"))
    ours, theirs = next((ours, theirs) for name, ours, (theirs,) in pair.tensors() if name == "lm_head.weight")
    assert torch.equal(ours[300], whole["lm_head.weight"][300])
    assert torch.equal(theirs, whole["lm_head.weight"])
    assert torch.equal(ours[:300], load_file(base / "model.safetensors")["lm_head.weight"][:300])


def test_an_adapter_with_more_tokens_for_one_of_two_tensors_is_refused(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1)
    write_adapter(base, tmp_path / "adapter", "<|im_end|>", **LORA)
    weights(lambda t: [t.pop(name) for name in list(t) if "lm_head" in name])(tmp_path / "adapter")
    with pytest.raises(UserError, match=r"embed_tokens\.weight has more rows than in base, and not all"):
        Pair.open(str(base), str(tmp_path / "adapter"))


def settings(**fields: Any) -> Callable[[Path], None]:
    def change(adapter: Path) -> None:
        path = adapter / CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(adapter: Path) -> None:
        tensors = load_file(adapter / WEIGHTS)
        change(tensors)
        save_file(tensors, adapter / WEIGHTS)

    return apply


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
REPLACED = "base_model.model.model.layers.0.self_attn.q_proj.weight"
MAGNITUDE = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"
ORPHAN = "base_model.model.model.layers.0.self_attn.k_proj.base_layer.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (settings(use_dora=True), "lora_A.weight is of a DoRA adapter that is not on linear layers alone; merge it"),
        (weights(lambda t: t.update({MAGNITUDE: torch.ones(64)})), "is of a DoRA adapter"),
        (settings(peft_type="IA3"), "peft_type: IA3 is more than"),
        (settings(bias="all"), "bias: all is more than"),
        (settings(init_lora_weights="pissa"), "init_lora_weights: pissa is more than"),
        (settings(init_lora_weights="olora"), "init_lora_weights: olora is more than"),
        (settings(trainable_token_indices=[5]), r"trainable_token_indices: \[5\] is more than"),
        (lambda folder: (folder / WEIGHTS).rename(folder / "adapter_model.bin"), "adapter_model.safetensors: missing"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"no"), "truncated or damaged"),
        (lambda folder: (folder / CONFIG).write_text("{"), "adapter_config.json: not valid JSON"),
        (weights(lambda t: t.update(odd=torch.zeros(2))), "odd is for no tensor of .* in base"),
        (lambda folder: (folder / CONFIG).write_text("[]"), "adapter_config.json: a JSON object is expected"),
        (settings(r=None), "adapter_config.json: r: None is not a number above 0"),
        (settings(lora_alpha="8"), "lora_alpha: 8 is not a number above 0"),
        (settings(rank_pattern=[1, 2]), r"rank_pattern: \[1, 2\] has no number for each pattern"),
        (settings(alpha_pattern={"v_proj": 0}), "alpha_pattern: 0 is not a number above 0"),
        (settings(rank_pattern={"(": 4}), "rank_pattern: .* is no regular expression"),
        (settings(rank_pattern={"a{99999999999}": 4}), "rank_pattern: .* is no regular expression"),
        (settings(rank_pattern={"([a-z_.0-9]+)+!": 4}), "rank_pattern: .* could take for ever to match"),
        (settings(alpha_pattern={".*.*.*.*!": 4}), "alpha_pattern: .* could take for ever to match"),
        (settings(alpha_pattern={"a" * 10**6: 4}), "alpha_pattern: a{200} .* could take for ever to match"),
        (settings(rank_pattern=0.5), "rank_pattern: 0.5 has no number for each pattern"),
        (settings(lora_alpha=float("nan")), "lora_alpha: nan is not a number above 0"),
        (settings(lora_alpha=float("inf")), "lora_alpha: inf is not a number above 0"),
        (settings(r=8), r"q_proj.lora_A.weight has rank 4, and adapter_config.json says 8"),
        (settings(alora_invocation_tokens=[1]), "alora_invocation_tokens: .* is more than a plain LoRA adapter"),
        (settings(arrow_config={"top_k": 1}), "arrow_config: .* is more than"),
        (settings(kasa_config={"a": 1}), "kasa_config: .* is more than"),
        (settings(invented_later=True), "invented_later: True is more than"),
        (weights(lambda t: t.update({ORPHAN: torch.zeros(64, 64)})), "base_layer.weight is for no tensor of"),
        (weights(lambda t: t.update({REPLACED: torch.zeros(64, 64)})), "which another tensor changes too"),
        (weights(lambda t: t[FIRST].fill_(torch.nan)), "adapter_model.safetensors: .*q_proj.weight holds NaN"),
        (weights(lambda t: t.update({FIRST: torch.zeros(4, 32)})), r"q_proj.weight of shape \[64, 32\], and base has"),
        (weights(lambda t: t.__delitem__(FIRST)), "q_proj.lora_B.weight makes"),
    ],
)
def test_what_cannot_be_applied_is_refused(
    change: Callable[[Path], object], sentence: str, adapter: Path, tmp_path: Path
) -> None:
    base, folder = copied(adapter, tmp_path)
    change(folder)
    with pytest.raises(UserError, match=sentence) as caught:
        Pair.open(str(base), str(folder))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    base, aligned = make_pair(folder, layers=1)
    for path in aligned.iterdir():
        path.unlink()
    write_adapter(base, aligned, **LORA)
    return folder


def test_an_adapter_on_tied_embeddings_is_refused(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1, tied=True)
    write_adapter(base, tmp_path / "adapter", **LORA | {"target_modules": ["embed_tokens", "q_proj"]})
    with pytest.raises(UserError, match="changes tied embeddings"):
        Pair.open(str(base), str(tmp_path / "adapter"))


def test_an_adapter_with_a_head_over_tied_embeddings_is_refused(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1, tied=True)
    write_adapter(base, tmp_path / "adapter", **LORA | {"modules_to_save": ["lm_head"]})
    with pytest.raises(UserError, match=r"lm_head.weight changes tied embeddings: base's output head is its embedding"):
        Pair.open(str(base), str(tmp_path / "adapter"))


def test_an_adapter_beside_base_s_configuration_is_one(adapter: Path, tmp_path: Path) -> None:
    base, folder = copied(adapter, tmp_path)
    shutil.copy(base / "config.json", folder)
    assert Pair.open(str(base), str(folder)).aligned.adapter


def test_a_base_of_another_name_is_told(adapter: Path, tmp_path: Path) -> None:
    base, folder = copied(adapter, tmp_path)
    assert Pair.open(str(base), str(folder)).warnings == ()
    settings(base_model_name_or_path="org/other-model")(folder)
    (told,) = Pair.open(str(base), str(folder)).warnings
    assert "adapter_config.json: base_model_name_or_path is org/other-model, and base is" in told
    settings(base_model_name_or_path="org/Base")(folder)
    assert Pair.open(str(base), str(folder)).warnings == ()


def test_a_dora_adapter_on_embeddings_is_refused(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=1)
    write_adapter(base, tmp_path / "adapter", **LORA | {"use_dora": True, "target_modules": ["embed_tokens"]})
    with pytest.raises(UserError, match="DoRA adapter that is not on linear layers alone; merge it into its model"):
        Pair.open(str(base), str(tmp_path / "adapter"))


def test_base_may_be_no_adapter(adapter: Path) -> None:
    with pytest.raises(UserError, match="only aligned may be one"):
        Pair.open(str(adapter / "aligned"), str(adapter / "base"))
