"""The gradient by the ratios, against plain autograd through the interpolation."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from torch.nn import functional

from ama_ray.checkpoints.pair import Pair
from ama_ray.distill import merged_model
from ama_ray.distill.batches import Batch, Response
from ama_ray.distill.layout import layout_of, load_model
from ama_ray.distill.merged_model import MergedModel
from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import ARCHITECTURES, make_pair
from tests.support.wrappers import make_wrapper_pair

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.space.groups import Groups

BATCH = [Response((1, 5, 6), (7, 8, 2)), Response((1, 9), (10, 11, 12, 13, 2)), Response((1, 5, 20, 30), (2,))]
RATIOS = [0.1, 0.9, 0.35, 0.6]


def opened(folder: Path, space: str = "per-layer", **fields: Any) -> tuple[Pair, Groups]:
    base, aligned = make_pair(folder, layers=2, **fields)
    pair = Pair.open(str(base), str(aligned))
    return pair, SearchSpace.load(space).resolve(pair.names)


def by_layer(name: str) -> str:
    """The group of a live tensor in the space per-layer, told from its name alone."""
    if layer := re.search(r"\.(\d+)\.", name):
        return f"layer-{layer[1]}"
    return "head" if "lm_head" in name or "norm" in name or "ln_f" in name else "embed"


def expected(pair: Pair, names: tuple[str, ...], dtype: torch.dtype) -> tuple[float, torch.Tensor]:
    """Loss and gradient by autograd through (1 - r) base + r aligned, one response at a time, without padding."""
    load = transformers.AutoModelForCausalLM.from_pretrained
    base, model = (load(side.folder, dtype=dtype) for side in (pair.base, pair.aligned))
    ratios = torch.tensor(RATIOS, dtype=dtype, requires_grad=True)
    there = dict(base.named_parameters())
    weights = {
        name: there[name].detach() * (1 - ratio) + aligned.detach() * ratio
        for name, aligned in model.named_parameters()
        for ratio in [ratios[names.index(by_layer(name))]]
    }
    total, tokens = torch.zeros((), dtype=dtype), 0
    for each in BATCH:
        ids = torch.tensor([each.prompt + each.reply])
        logits = torch.func.functional_call(model, weights, (ids,), tie_weights=True).logits[
            0, len(each.prompt) - 1 : -1
        ]
        total = total + functional.nll_loss(logits.log_softmax(-1), torch.tensor(each.reply), reduction="sum")
        tokens += len(each.reply)
    loss = total / tokens
    return loss.item(), torch.autograd.grad(loss, ratios)[0]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradient_are_those_of_autograd(architecture: str, tied: bool, tmp_path: Path) -> None:
    pair, groups = opened(tmp_path, architecture=architecture, tied=tied)
    # transformers computes experts in no wider precision than float32.
    dtype = torch.float32 if architecture == "mixtral" else torch.float64
    model = load_model(pair.aligned.folder, dtype)
    before = [(side.folder / "model.safetensors").read_bytes() for side in (pair.base, pair.aligned)]
    with layout_of(pair, groups, model) as layout:
        live = MergedModel(model, layout, groups.names)
        live.merge(torch.tensor(RATIOS))
        batch = Batch.of(BATCH)
        total, tokens = live.loss(batch)
        gradient = live.gradient(batch)
        again = live.gradient(batch)
    loss, exact = expected(pair, groups.names, dtype)
    assert tokens == 9
    # Norms and rotations are float32 in transformers, whatever the weights are.
    assert total / tokens == pytest.approx(loss, rel=1e-5)
    assert exact.abs().min() > 1e-4
    assert torch.allclose(gradient, exact.double(), rtol=1e-4, atol=1e-5)
    assert torch.equal(gradient, again)
    assert before == [(side.folder / "model.safetensors").read_bytes() for side in (pair.base, pair.aligned)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_tensors_are_merged_in_chunks_in_the_precision_of_the_model(
    dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged_model, "CHUNK", 1000)
    pair, groups = opened(tmp_path, dtype=torch.bfloat16)
    model = load_model(pair.aligned.folder, dtype)
    with layout_of(pair, groups, model) as layout:
        MergedModel(model, layout, groups.names).merge(torch.tensor(RATIOS))
    live = dict(model.named_parameters())
    for name, base, (aligned,) in pair.tensors():
        ratio = RATIOS[groups.names.index(groups.of[name])]
        exact = (1 - ratio) * base.double() + ratio * aligned.double()
        assert torch.allclose(live[name].double(), exact, rtol=1e-6 if dtype == torch.float32 else 2**-8, atol=1e-7)


def test_memory_holds_one_gradient_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, groups = opened(tmp_path, tied=True)
    model = load_model(pair.aligned.folder, torch.float32)
    held: list[int] = []
    take = MergedModel._take

    def counted(self: MergedModel, name: str, parameter: torch.nn.Parameter) -> None:
        held.append(sum(each.grad.nbytes for each in model.parameters() if each.grad is not None))
        take(self, name, parameter)

    monkeypatch.setattr(MergedModel, "_take", counted)
    with layout_of(pair, groups, model) as layout:
        MergedModel(model, layout, groups.names).gradient(Batch.of(BATCH))
    sizes = [parameter.nbytes for parameter in model.parameters()]
    assert sorted(held) == sorted(sizes)
    assert max(held) == max(sizes) < sum(sizes) / 2
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_space_that_divides_what_transformers_joins_is_refused(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, "mixtral", layers=2)
    pair = Pair.open(str(base), str(aligned))
    fields = {"groups": [{"name": "first", "tensors": ["*experts.0.*"]}, {"name": "rest"}]}
    groups = SearchSpace.load(fields).resolve(pair.names)
    model = load_model(aligned, torch.float32)
    with (
        pytest.raises(UserError, match=r"keeps tensors of rest and of first in one, .*experts"),
        layout_of(pair, groups, model),
    ):
        pass


def test_the_towers_of_a_model_of_text_and_images_stay_as_they_are(tmp_path: Path) -> None:
    base, aligned = make_wrapper_pair(tmp_path, "qwen3_vl")
    pair = Pair.open(str(base), str(aligned))
    groups = pair.groups(SearchSpace.load("uniform"))
    ends = [dict(load_model(folder, torch.float32).named_parameters()) for folder in (base, aligned)]
    model = load_model(aligned, torch.float32)
    with layout_of(pair, groups, model) as layout, closing(MergedModel(model, layout, groups.names)) as merged:
        merged.merge(torch.tensor([0.25]))
        for name, live in model.named_parameters():
            ratio = 1.0 if "visual" in name else 0.25
            torch.testing.assert_close(live.detach(), (1 - ratio) * ends[0][name] + ratio * ends[1][name])
