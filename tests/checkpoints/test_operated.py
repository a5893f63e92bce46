"""Pairs whose differences an operator changes when they are opened: another aligned checkpoint for all that follows."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.differences import operated
from ama_ray.checkpoints.pair import Pair
from ama_ray.config.delta import Delta
from ama_ray.engine.arguments import STREAMED, pair_arguments
from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import LORA, edit_weights, make_pair, stored, write_adapter
from testing.several import NAMES, make_several

if TYPE_CHECKING:
    from pathlib import Path

TRIM = Delta(keep=0.3)
TIES = Delta(kind="ties")
DARE = Delta(kind="dare", keep=0.5, seed=1)


def streamed(pair: Pair) -> dict[str, tuple[torch.Tensor, ...]]:
    return {name: (base, *aligned) for name, base, aligned in pair.tensors()}


@pytest.mark.parametrize("delta", [TRIM, DARE], ids=str)
def test_every_aligned_model_is_operated_on_and_exported(delta: Delta, tmp_path: Path) -> None:
    base, aligned = make_several(tmp_path, layers=3, dtype=torch.bfloat16)
    pair: Pair = pickle.loads(pickle.dumps(Pair.open(str(base), list(map(str, aligned)), delta=delta)))
    before, *after = (stored(folder) for folder in (base, *aligned))
    for name, (low, *high) in streamed(pair).items():
        assert torch.equal(low, before[name])
        for number, (made, tensors, moves) in enumerate(zip(high, after, pair.moves, strict=True)):
            assert torch.equal(made, operated(delta, name, before[name], [tensors[name]], number))
            assert (moves[name] == 0) == torch.equal(made, low)
            assert moves[name] == pytest.approx(float((made.double() - low.double()).norm()), rel=1e-5)
    groups = pair.groups(SearchSpace.load("three-parts"), NAMES)
    assert len(groups.names) == 9
    merging.export(pair, groups.shares_of(groups.alone(2)), tmp_path / "merge")
    second = {name: tensors[2] for name, tensors in streamed(pair).items()}
    exported = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merge").state_dict()
    for name, tensor in second.items():
        assert torch.equal(exported[name], tensor)


def test_ties_makes_one_direction_of_several(tmp_path: Path) -> None:
    base, aligned = make_several(tmp_path, layers=3)
    pair = Pair.open(str(base), list(map(str, aligned)), delta=TIES)
    assert (len(pair.endpoints), len(pair.parents), len(pair.checksums)) == (2, 4, 4)
    after = [stored(folder) for folder in aligned]
    for name, (low, made) in streamed(pair).items():
        assert torch.equal(made, operated(TIES, name, low, [tensors[name] for tensors in after]))
    groups = pair.groups(SearchSpace.load("three-parts"))
    assert "@" not in "".join(groups.names)
    merging.export(pair, groups.shares_of(dict.fromkeys(groups.names, 0.4)), tmp_path / "merge")
    merged = stored(tmp_path / "merge")
    for name, (low, made) in streamed(pair).items():
        assert torch.equal(merged[name], interpolate(low, made, 0.4))
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "merge").get_vocab()


def test_the_same_is_opened_again_elsewhere_from_plain_values(tmp_path: Path) -> None:
    base, aligned = make_several(tmp_path, layers=1)
    pair = Pair.open(str(base), list(map(str, aligned)), delta=DARE)
    again = Pair.read(**pair.sources)
    for (name, ours), (other, theirs) in zip(streamed(pair).items(), streamed(again).items(), strict=True):
        assert name == other
        assert all(torch.equal(*both) for both in zip(ours, theirs, strict=True))
    # No folder holds what an engine starts on.
    asked = pair_arguments(pair)
    assert (asked["load_format"], asked["model_loader_extra_config"], pair.starts_on) == (STREAMED, pair.sources, 1)
    names = list(pair.names)
    assert [name for name, _ in again.aligned.stream(names[:2])] == names[:2]


def test_checksums_are_of_the_parents_and_the_pair_s_says_the_operator(tmp_path: Path) -> None:
    base, aligned = map(str, make_pair(tmp_path, layers=1))
    plain, *others = (Pair.open(base, aligned, delta=delta) for delta in (None, TRIM, Delta(keep=0.4), TRIM))
    assert all(other.checksums == plain.checksums for other in others)
    assert len({plain.checksum, *(other.checksum for other in others)}) == 3
    assert others[0].checksum == others[2].checksum


def test_all_are_converted_first(tmp_path: Path) -> None:
    base, aligned = map(str, make_pair(tmp_path, layers=1))
    pair = Pair.open(base, aligned, "bfloat16", delta=TRIM)
    narrow = streamed(Pair.open(base, aligned, "bfloat16"))
    for name, (low, made) in streamed(pair).items():
        assert made.dtype == torch.bfloat16
        assert torch.equal(made, operated(TRIM, name, low, [narrow[name][1]]))


def test_an_adapter_is_applied_first(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=2)
    write_adapter(base, tmp_path / "adapter", **LORA)
    plain = streamed(Pair.open(str(base), str(tmp_path / "adapter")))
    pair = Pair.open(str(base), str(tmp_path / "adapter"), delta=TRIM)
    assert pair.engine_folder == base
    changed = 0
    for name, (low, made) in streamed(pair).items():
        assert torch.equal(made, operated(TRIM, name, low, [plain[name][1]]))
        changed += not torch.equal(low, made)
    assert 0 < changed < len(plain)


def test_what_is_not_searched_is_aligned_s_as_it_is(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    for folder in (base, aligned):
        edit_weights(folder, lambda tensors: tensors.update({"model.layers.0.mask": torch.arange(3)}))
    pair = Pair.open(str(base), str(aligned), delta=TRIM)
    found = dict(pair.aligned.stream())
    assert found.keys() == stored(aligned).keys()
    assert torch.equal(found["model.layers.0.mask"], torch.arange(3))


def same(tensors: dict[str, torch.Tensor], like: dict[str, torch.Tensor], name: str, value: float) -> None:
    """All tensors but one are as elsewhere, and one element of that is not."""
    tensors.update({each: tensor.clone() for each, tensor in like.items()})
    tensors[name].view(-1)[0] += value


@pytest.mark.parametrize(
    ("value", "delta", "words"),
    [
        (1.0, {"kind": "dare", "keep": 1e-9, "seed": 0}, "leaves nothing of the difference between"),
        (6e4, {"kind": "dare", "keep": 0.999, "seed": 0}, ""),
        (4e4, {"kind": "dare", "keep": 0.5, "seed": 0}, "too large for float16; keep more"),
    ],
)
def test_what_comes_to_nothing_or_is_too_large_is_refused(
    value: float, delta: dict[str, Any], words: str, tmp_path: Path
) -> None:
    base, aligned = make_pair(tmp_path, layers=1, dtype=torch.float16)
    before = stored(base)
    # Of this tensor, the first element is kept by the seed.
    edit_weights(aligned, lambda tensors: same(tensors, before, "model.norm.weight", value))
    if not words:
        pair = Pair.open(str(base), str(aligned), delta=Delta(**delta))
        assert pair.moved["model.norm.weight"] == pytest.approx(6e4, rel=0.01)
        return
    with pytest.raises(UserError, match=rf"delta: dare \(.*{words}") as caught:
        Pair.open(str(base), str(aligned), delta=Delta(**delta))
    assert "\n" not in str(caught.value)
