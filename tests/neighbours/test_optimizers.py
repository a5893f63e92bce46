"""The two optimizers against computations written out, element by element."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ama_ray.miniature import ROOT
from ama_ray.miniature.recipe.tokenizer import build_tokenizer
from ama_ray.miniature.recipe.train import load
from testing.neighbours.optimizers import ChangedAdamW, null_space, on_dare
from testing.neighbours.subspace import Kept, kept_by

PAIRS = [("sum : 4 7 + 2 5 =", "7 2"), ("reverse : k d b r =", "r b d k")]


def trained(change: object, steps: int = 3) -> nn.Linear:
    torch.manual_seed(0)
    model = nn.Linear(6, 5, bias=False)
    optimizer = (
        torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.0)
        if change is None
        else ChangedAdamW(model, 0.1, change)  # type: ignore[arg-type]
    )
    for number in range(steps):
        optimizer.zero_grad()
        model(torch.arange(12.0).reshape(2, 6) + number).square().sum().backward()
        optimizer.step()
    return model


def test_an_update_that_is_not_changed_is_that_of_adamw() -> None:
    assert torch.allclose(trained(lambda _, update: update).weight, trained(None).weight, atol=1e-6)


def test_outputs_for_the_kept_inputs_stay() -> None:
    torch.manual_seed(1)
    inputs = torch.randn(6, 2)
    model = trained(null_space({"weight": Kept(torch.linalg.qr(inputs).Q)}))
    torch.manual_seed(0)
    start = nn.Linear(6, 5, bias=False).weight.double()
    moved = model.weight.double() - start
    assert moved.norm() > 0.1
    assert (moved @ inputs.double()).abs().max() < 1e-5


def test_the_projection_is_least_squares_in_float64() -> None:
    torch.manual_seed(2)
    inputs, update = torch.randn(6, 2).double(), torch.randn(5, 6)
    # What of each row the inputs explain is taken away.
    fitted = torch.linalg.lstsq(inputs, update.double().T).solution
    expected = update.double() - (inputs @ fitted).T
    found = Kept(torch.linalg.qr(inputs).Q.float()).project(update)
    assert torch.allclose(found.double(), expected, atol=1e-5)


def test_rows_of_known_tokens_and_norms_do_not_move() -> None:
    kept = Kept(torch.eye(6)[:, :1], torch.tensor([True, False]))
    assert kept.project(torch.ones(2, 6)).tolist() == [[0.0] * 6, [0.0] + [1.0] * 5]
    assert Kept(None).project(torch.ones(3)).tolist() == [0.0] * 3


def test_what_keeps_the_skills_of_the_miniature() -> None:
    base, tokenizer = load(ROOT / "base"), build_tokenizer()
    kept = kept_by(base, tokenizer, PAIRS, share=1.0 - 1e-9)
    assert kept.keys() == dict(base.named_parameters()).keys()
    given = [tokenizer(" ".join(pair), return_tensors="pt")["input_ids"] for pair in PAIRS]

    def moved(project: bool) -> float:
        """By how much the logits on the skills move with random updates."""
        model = load(ROOT / "base")
        torch.manual_seed(0)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                update = 0.02 * torch.randn(parameter.shape)
                parameter.add_(kept[name].project(update) if project else update)
        return max(float((model(ids).logits - base(ids).logits).detach().abs().max()) for ids in given)

    assert moved(project=False) > 1
    assert moved(project=True) < 0.001


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_on_dare_element_by_element(weight: float) -> None:
    keep, shape = 0.5, (3, 4)
    torch.manual_seed(3)
    direction, updates = torch.randn(shape), [torch.randn(shape) for _ in range(2)]
    change = on_dare({"w": direction}, weight=weight, keep=keep, seed=7)
    found = [change("w", update) for update in updates]
    draws = torch.Generator().manual_seed(7)
    masks = [(torch.rand(shape, generator=draws) < keep).tolist() for _ in range(3)]
    for update, result, mask in zip(updates, found, masks[1:], strict=True):
        for i in range(shape[0]):
            for j in range(shape[1]):
                own = update[i, j].item() / keep if mask[i][j] else 0.0
                base = direction[i, j].item() / keep if masks[0][i][j] else 0.0
                assert result[i, j].item() == pytest.approx((1 - weight) * own + weight * base, abs=1e-6)


def test_a_seed_decides_what_is_kept() -> None:
    one, again, other = (
        trained(on_dare({"weight": torch.ones(5, 6)}, weight=0.1, keep=0.5, seed=seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one.weight, again.weight)
    assert not torch.equal(one.weight, other.weight)
