"""A pair that opens can be averaged; one that cannot says in one sentence what is wrong, where, and what to do."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.weight_files import INDEX
from ama_ray.checkpoints.weight_files import SINGLE as WEIGHTS
from ama_ray.errors import UserError
from testing.checkpoints import ARCHITECTURES, copied, edit, edit_weights, make_pair

Paths = tuple[Path, Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    make_pair(folder, layers=2)
    make_pair(folder / "sharded", layers=2, max_shard_size="50KB")
    make_pair(folder / "tied", layers=2, tied=True)
    return folder


@pytest.fixture
def paths(sound: Path, tmp_path: Path) -> Paths:
    return copied(sound, tmp_path)


def opened(paths: Paths) -> Pair:
    return Pair.open(str(paths[0]), str(paths[1]))


def refused(paths: Paths, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        opened(paths)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_what_is_averaged(paths: Paths) -> None:
    pair = opened(paths)
    base, aligned = (load_file(path / WEIGHTS) for path in paths)
    assert pair.warnings == ()
    assert set(pair.names) == aligned.keys()
    assert pair.num_bytes == 2 * sum(tensor.nbytes for tensor in aligned.values())
    streamed = {name: (ours, theirs) for name, ours, (theirs,) in pair.tensors()}
    assert tuple(streamed) == pair.names
    assert all(torch.equal(streamed[name][0], tensor) for name, tensor in base.items())
    assert all(torch.equal(streamed[name][1], tensor) for name, tensor in aligned.items())


def test_a_model_without_a_vocabulary_is_refused_in_a_sentence(paths: Paths) -> None:
    pair = opened(paths)
    pair.check_is_language_model()
    assert pair.vocabulary_size == 300
    images = replace(pair.aligned, config={"vision_config": {"hidden_size": 64}})
    with pytest.raises(UserError, match=r"aligned: config\.json has no vocab_size; only language models can be used\."):
        replace(pair, aligned=images).check_is_language_model()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_all_architectures_open(architecture: str, tied: bool, tmp_path: Path) -> None:
    pair = opened(make_pair(tmp_path, architecture, layers=1, tied=tied))
    assert pair.warnings == ()
    assert any("lm_head" in name or "embed_out" in name for name in pair.names) != tied


def test_shards_may_differ_and_aligneds_are_kept(sound: Path) -> None:
    pair = opened((sound / "base", sound / "sharded" / "aligned"))
    shards = [(file, [name for name, _, _ in tensors]) for file, tensors in pair.shards()]
    assert len(shards) > 1
    assert [name for _, names in shards for name in names] == list(pair.names)
    assert {name: file for file, names in shards for name in names} == json.loads(
        (sound / "sharded" / "aligned" / INDEX).read_text()
    )["weight_map"]


def test_base_is_converted_to_aligneds_dtype_with_a_warning(paths: Paths) -> None:
    edit_weights(paths[1], lambda t: t.update({name: tensor.bfloat16() for name, tensor in t.items()}))
    pair = opened(paths)
    (warning,) = pair.warnings
    assert "21 tensors of base" in warning
    assert "from float32 to bfloat16" in warning
    assert all(base.dtype == aligned.dtype == torch.bfloat16 for _, base, (aligned,) in pair.tensors())


def test_harmless_differences_of_the_configuration(paths: Paths) -> None:
    changes = {"_name_or_path": "x", "transformers_version": "4.0.0", "dtype": "float16", "use_cache": False}
    edit(paths[1] / "config.json", lambda c: c.update(changes))
    # A default that one side leaves out is no difference.
    edit(paths[0] / "config.json", lambda c: c.pop("attention_bias"))
    assert opened(paths).warnings == ()


def test_other_token_ids_are_a_warning(paths: Paths) -> None:
    edit(paths[1] / "config.json", lambda c: c.update(pad_token_id=5))
    (warning,) = opened(paths).warnings
    assert "pad_token_id" in warning
    assert "aligned's is used" in warning


def test_tensors_in_a_wider_precision_are_told(paths: Paths) -> None:
    for path in paths:
        edit_weights(path, lambda t: t.update({n: x if "norm" in n else x.bfloat16() for n, x in t.items()}))
    (warning,) = opened(paths).warnings
    assert "layernorm.weight and 4 other tensors in float32 and most in bfloat16" in warning


def test_a_pair_in_float32_can_be_searched_and_written_in_16_bits(paths: Paths, tmp_path: Path) -> None:
    edit_weights(paths[0], lambda t: t.update({name: tensor.bfloat16() for name, tensor in t.items()}))
    pair = Pair.open(str(paths[0]), str(paths[1]), "bfloat16")
    assert "converted from float32 to bfloat16" in pair.warnings[-1]
    merging.export(pair, dict.fromkeys(pair.names, (0.25,)), tmp_path / "merge")
    assert read_config(tmp_path / "merge")["dtype"] == "bfloat16"
    base, aligned, merged = (load_file(folder / WEIGHTS) for folder in (*paths, tmp_path / "merge"))
    for name, tensor in merged.items():
        exact = 0.75 * base[name].double() + 0.25 * aligned[name].bfloat16().double()
        assert torch.equal(tensor, exact.bfloat16())
    # What cannot hold the weights is no precision of a merge.
    assert Pair.open(str(paths[0]), str(paths[0].parent / "aligned"), "float32").dtype == torch.float32


def test_copies_of_tied_weights_are_dropped(sound: Path, tmp_path: Path) -> None:
    paths = copied(sound / "tied", tmp_path)
    edit_weights(paths[0], lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert "lm_head.weight" not in opened(paths).names
    edit_weights(paths[0], lambda t: t["lm_head.weight"][3].zero_())
    refused(paths, r"base/model\.safetensors: lm_head\.weight differs from model\.embed_tokens\.weight, .*false")


def test_integer_buffers_are_not_averaged_and_must_be_equal(paths: Paths) -> None:
    for path in paths:
        edit_weights(path, lambda t: t.update({"model.layers.0.mask": torch.tensor([1, 0])}))
    assert "model.layers.0.mask" not in opened(paths).names
    edit_weights(paths[1], lambda t: t["model.layers.0.mask"].fill_(1))
    refused(paths, r"model\.layers\.0\.mask: .*different int64 values")


def a_file(paths: Paths) -> None:
    shutil.rmtree(paths[0])
    paths[0].touch()


def no_tokenizer(paths: Paths) -> None:
    for file in paths[1].glob("tokenizer*"):
        file.unlink()


def only_pickle(paths: Paths) -> None:
    (paths[0] / WEIGHTS).rename(paths[0] / "pytorch_model.bin")


def config(side: int, **fields: Any) -> Callable[[Paths], None]:
    return lambda paths: edit(paths[side] / "config.json", lambda c: c.update(fields))


def weights(side: int, change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Paths], None]:
    return lambda paths: edit_weights(paths[side], change)


def truncated(paths: Paths) -> None:
    content = (paths[0] / WEIGHTS).read_bytes()
    (paths[0] / WEIGHTS).write_bytes(content[: len(content) // 2])


def rope(paths: Paths) -> None:
    edit(paths[0] / "config.json", lambda c: c["rope_parameters"].update(rope_theta=5e5))


def another_word(paths: Paths) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["model"]["vocab"]["other"] = fields["model"]["vocab"].pop("w7")

    edit(paths[0] / "tokenizer.json", change)


def put(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors[name].view(-1)[5].fill_(value)


def headless(paths: Paths) -> None:
    for path in paths:
        edit_weights(path, lambda t: t.pop("lm_head.weight"))


def missing_in_both(paths: Paths) -> None:
    for path in paths:
        edit_weights(path, lambda t: t.pop(UP))


NORM = "model.norm.weight"
UP = "model.layers.1.mlp.up_proj.weight"
BAD: dict[str, tuple[Callable[[Paths], object], str]] = {
    "no folder": (lambda p: shutil.rmtree(p[0]), "/base: there is no such folder"),
    "a file": (a_file, "/base: this is a file"),
    "pickle": (only_pickle, r"base/pytorch_model\.bin: pickled .*can run code.*safe_serialization=True"),
    "no weights": (lambda p: (p[1] / WEIGHTS).unlink(), "/aligned: there are no weights"),
    "truncated": (truncated, r"base/model\.safetensors: truncated or damaged"),
    "not safetensors": (lambda p: (p[1] / WEIGHTS).write_text("x" * 99), r"aligned/model\.safetensors: truncated or"),
    "no config": (lambda p: (p[0] / "config.json").unlink(), r"base/config\.json: missing"),
    "adapter": (
        lambda p: (p[1] / "config.json").rename(p[1] / "adapter_config.json"),
        "aligned/adapter_config.json: peft_type: None is more",
    ),
    "config not JSON": (lambda p: (p[0] / "config.json").write_text("{"), r"base/config\.json: not valid JSON"),
    "config a list": (lambda p: (p[0] / "config.json").write_text("[]"), r"base/config\.json: a JSON object"),
    "config nonsense": (config(0, hidden_size="big"), r"base/config\.json: transformers cannot read it .*hidden_size"),
    "model type": (config(0, model_type="mistral"), r"model_type in config\.json differs \(mistral, llama\)"),
    "architecture": (config(1, architectures=["LlamaForSequenceClassification"]), r"architectures in config\.json"),
    "a field": (config(1, rms_norm_eps=1e-5), r"rms_norm_eps in config\.json differs \(1e-06, 1e-05\)"),
    "a nested field": (rope, r"rope_parameters\.rope_theta in config\.json differs"),
    "quantised": (config(1, quantization_config={"bits": 4}), r"aligned/config\.json: quantization_config"),
    "no tokenizer": (no_tokenizer, "/aligned: there is no tokenizer"),
    "broken tokenizer": (lambda p: (p[1] / "tokenizer.json").write_text("{}"), r"aligned/tokenizer\.json: this is not"),
    "vocabulary": (another_word, r"vocabular.* differ, first in the token .*id None and 7|id 7 and None"),
    "missing in base": (weights(0, lambda t: t.pop(NORM)), rf"/base: {NORM} is missing"),
    "head in neither": (headless, r"aligned: lm_head\.weight is not there, and LlamaForCausalLM needs it"),
    "missing in both": (missing_in_both, rf"aligned: {UP} is not there, and LlamaForCausalLM needs it"),
    "missing in aligned": (weights(1, lambda t: (t.pop(UP), t.pop(NORM))), rf"/aligned: {UP} and 1 more are missing"),
    "shape": (weights(0, lambda t: t.update({NORM: torch.ones(32)})), rf"{NORM}: the shape differs, \[32\] .* \[64\]"),
    "kind": (weights(0, lambda t: t.update({NORM: torch.ones(64).int()})), rf"{NORM}: int32 in .* float32 in"),
    "float8": (weights(1, lambda t: t.update({UP: t[UP].to(torch.float8_e4m3fn)})), rf"safetensors: {UP} .*F8_E4M3"),
    "NaN in base": (weights(0, put(UP, float("nan"))), rf"base/model\.safetensors: {UP} holds NaN or infinity"),
    "infinity in aligned": (weights(1, put(NORM, float("-inf"))), rf"aligned/model\.safetensors: {NORM} holds NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str, paths: Paths) -> None:
    spoil, sentence = BAD[case]
    spoil(paths)
    refused(paths, sentence)


def test_an_overflow_of_the_conversion_is_named(paths: Paths) -> None:
    edit_weights(paths[0], put(UP, 1e6))
    edit_weights(paths[1], lambda t: t.update({name: tensor.half() for name, tensor in t.items()}))
    refused(paths, rf"base/model\.safetensors: {UP} holds NaN or infinity in float16")


def test_equal_checkpoints_leave_nothing_to_search(paths: Paths) -> None:
    refused((paths[0], paths[0]), "all tensors that are searched are equal, so there is nothing to search")


def test_a_pair_whose_values_change_places_has_another_checksum(tmp_path: Path) -> None:
    """Sums of values are the same in any order, and so are no checksum."""
    base, aligned = make_pair(tmp_path)
    before = Pair.open(str(base), str(aligned))
    edit_weights(aligned, lambda tensors: tensors.update({name: tensor.flip(0) for name, tensor in tensors.items()}))
    after = Pair.open(str(base), str(aligned))
    assert after.checksum != before.checksum
    assert after.checksums[0] == before.checksums[0]
    assert after.checksums[1] != before.checksums[1]


def test_a_tensor_of_another_shape_with_the_same_bytes_has_another_checksum(tmp_path: Path) -> None:
    checksums = set()
    for shape in ((6, 4), (4, 6)):
        folder = tmp_path / str(shape[0])
        for path in make_pair(folder):
            values = torch.arange(24.0) + len(path.name)
            edit_weights(path, partial(dict.update, odd=values.reshape(shape)))
        checksums.add(Pair.open(str(folder / "base"), str(folder / "aligned")).checksum)
    assert len(checksums) == 2
