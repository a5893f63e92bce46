"""Several aligned models: their merge against float64, and sets that make no sense."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.arithmetic import interpolate, merge
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import edit, edit_weights, make_pair, stored
from testing.several import NAMES, make_several

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
SHARES = [(0.2, 0.3, 0.1), (0.0, 0.7, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.6, 0.7, 0.4), (0.9, 0.0, 0.0)]


def drawn(dtype: torch.dtype, size: int = 300_001) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=draw).to(dtype) for _ in range(4)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shares", SHARES)
def test_a_merge_is_what_float64_says(dtype: torch.dtype, shares: tuple[float, ...]) -> None:
    base, *aligned = drawn(dtype)
    merged = merge(base, aligned, shares)
    exact = base.double() + sum(s * (a.double() - base.double()) for s, a in zip(shares, aligned, strict=True))
    largest = torch.stack([base, *aligned]).double().abs().amax(0)
    # One rounding of 16 bits; of more, a rounding of each product and sum.
    roundings = 0.51 if dtype.itemsize == 2 and sum(shares) <= 1 else 4.0
    assert float(((merged.double() - exact).abs() / (torch.finfo(dtype).eps * largest)).max()) <= roundings


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_ends_of_a_mixture_are_the_checkpoints(dtype: torch.dtype) -> None:
    base, *aligned = drawn(dtype, 5000)
    assert torch.equal(merge(base, aligned, (0.0, 0.0, 0.0)), base)
    for model, tensor in enumerate(aligned):
        assert torch.equal(merge(base, aligned, [float(model == other) for other in range(3)]), tensor)
    assert torch.equal(merge(base, aligned[:1], (0.3,)), interpolate(base, aligned[0], 0.3))
    # What is equal everywhere stays, and infinity with no share spoils nothing.
    assert torch.equal(merge(base, [base.clone(), base.clone()], (0.3, 0.2)), base)
    assert merge(base, [aligned[0], torch.full_like(base, torch.inf)], (0.3, 0.0)).isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_part_is_merged_as_the_whole(dtype: torch.dtype) -> None:
    """A swap merges pieces and an export tensors, and both are the same to the last bit."""
    base, *aligned = drawn(dtype)
    whole = merge(base, aligned, SHARES[0])
    for start, size in ((0, 1), (1, 7), (5, 33), (3, 1001), (17, 262_147)):
        here = slice(start, start + size)
        part = merge(base[here].clone(), [each[here].clone() for each in aligned], SHARES[0])
        assert torch.equal(part, whole[here])


def test_an_export_equals_float64_and_loads(tmp_path: Path) -> None:
    base, aligned = make_several(tmp_path, layers=3)
    pair = Pair.open(str(base), list(map(str, aligned)))
    groups = pair.groups(SearchSpace.load("three-parts"), NAMES)
    assert len(groups.names) == 9
    ratios = {name: 0.05 + 0.03 * position for position, name in enumerate(groups.names)}
    merging.export(pair, groups.shares_of(ratios), tmp_path / "merge")
    before, merged = stored(base), stored(tmp_path / "merge")
    after = {name: stored(path) for name, path in zip(NAMES, aligned, strict=True)}
    for name, tensor in merged.items():
        exact = before[name].double()
        for model, tensors in after.items():
            number = f"{groups.of[name]}@{model}"
            exact = exact + ratios[number] * (tensors[name].double() - before[name].double())
        torch.testing.assert_close(tensor, exact.float(), rtol=1e-6, atol=1e-7)
    model, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merge", output_loading_info=True)
    assert model is not None
    assert not report["missing_keys"]
    for end, path in enumerate((base, *aligned)):
        merging.export(pair, groups.shares_of(groups.alone(end)), tmp_path / f"end-{end}")
        tensors = stored(tmp_path / f"end-{end}")
        assert all(torch.equal(tensors[name], tensor) for name, tensor in stored(path).items())


def test_a_model_that_is_base_in_a_group_has_no_number_there(tmp_path: Path) -> None:
    base, aligned = make_several(tmp_path, layers=3)
    original = stored(base)
    edit_weights(aligned[1], lambda t: t.update({n: x for n, x in original.items() if ".layers.1." in n}))
    pair = Pair.open(str(base), list(map(str, aligned)))
    groups = pair.groups(SearchSpace.load("per-layer"), NAMES)
    assert [name for name in groups.names if name.startswith("layer-1@")] == ["layer-1@chat", "layer-1@code"]
    shares = groups.shares_of(groups.everywhere((0.5, 0.25, 0.125)))
    assert shares["model.layers.1.mlp.up_proj.weight"][1] == 0
    assert not any("layers.1." in name for name in pair.numbers(groups)[1])


def make_equal(base: Path, aligned: list[Path]) -> None:
    shutil.copyfile(aligned[0] / "model.safetensors", aligned[2] / "model.safetensors")


def make_base(base: Path, aligned: list[Path]) -> None:
    shutil.copyfile(base / "model.safetensors", aligned[1] / "model.safetensors")


def other_tokens(base: Path, aligned: list[Path]) -> None:
    edit(aligned[1] / "tokenizer.json", lambda fields: fields["added_tokens"].append(ADDED))


ADDED = {"id": 299, "content": "<x>", "special": True} | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
ADDED |= {"normalized": False}


def narrower(base: Path, aligned: list[Path]) -> None:
    edit_weights(aligned[2], lambda t: t.update({name: tensor.bfloat16() for name, tensor in t.items()}))


def other_shape(base: Path, aligned: list[Path]) -> None:
    make_pair(base.parent / "other", "llama", 3)
    shutil.rmtree(aligned[2])
    shutil.copytree(base.parent / "other" / "aligned", aligned[2])


def other_architecture(base: Path, aligned: list[Path]) -> None:
    make_pair(base.parent / "other", "qwen2", 2)
    shutil.rmtree(aligned[1])
    shutil.copytree(base.parent / "other" / "aligned", aligned[1])


def with_nan(base: Path, aligned: list[Path]) -> None:
    edit_weights(aligned[2], lambda t: t["model.norm.weight"].fill_(torch.nan))


BAD: dict[Callable[[Path, list[Path]], None], str] = {
    make_equal: "chat and .*code: all tensors that are searched are equal in these two aligned models",
    make_base: "base and .*math: all tensors that are searched are equal, so there is nothing to search",
    other_tokens: "chat and .*math: their tokenizers differ, first in the token",
    narrower: "code/model.safetensors: .* is in bfloat16, and in float32 in .*chat",
    other_shape: "base and .*code: num_hidden_layers in config.json differs",
    other_architecture: "base and .*math: .* in config.json differs",
    with_nan: "code/model.safetensors: model.norm.weight holds NaN",
}


@pytest.mark.parametrize("spoil", BAD)
def test_a_set_that_makes_no_sense_is_one_sentence(spoil: Callable[[Path, list[Path]], None], tmp_path: Path) -> None:
    base, aligned = make_several(tmp_path, layers=2)
    spoil(base, aligned)
    with pytest.raises(UserError, match=BAD[spoil]) as caught:
        Pair.open(str(base), list(map(str, aligned)))
    assert "\n" not in str(caught.value)
