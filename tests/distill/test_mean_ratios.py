"""Scores to ratios, against a bisection and finite differences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ama_ray.distill.mean_ratios import MeanRatios

Bounds = list[tuple[float, float]]

UNIT: Bounds = [(0.0, 1.0)] * 3


def made(mean: float, bounds: Bounds, epsilon: float) -> MeanRatios:
    low, high = torch.tensor(bounds, dtype=torch.float64).unbind(1)
    return MeanRatios(mean, low, high, epsilon)


@st.composite
def cases(draw: st.DrawFn) -> tuple[MeanRatios, torch.Tensor]:
    groups = draw(st.integers(1, 9))
    low = st.sampled_from([0.0, 0.0, 0.1, 0.35])
    bounds = [(draw(low), draw(st.sampled_from([0.5, 1.0, 1.3]))) for _ in range(groups)]
    least, most = (sum(side) / groups for side in zip(*bounds, strict=True))
    mean = least + draw(st.floats(0.01, 0.99)) * (most - least)
    scores = draw(st.lists(st.floats(-6, 6), min_size=groups, max_size=groups))
    return made(mean, bounds, draw(st.sampled_from([0.0, 0.1, 0.9]))), torch.tensor(scores, dtype=torch.float64)


@given(cases())
def test_the_mean_is_kept_and_what_is_cut_off_is_shared_by_weight(case: tuple[MeanRatios, torch.Tensor]) -> None:
    of, scores = case
    ratios = of.ratios(scores)
    assert ratios.mean().item() == pytest.approx(of.mean, abs=1e-9)
    weights = torch.sigmoid(scores) + of.epsilon
    small, large = 0.0, 1e6
    for _ in range(200):
        middle = (small + large) / 2
        too_much = (middle * weights).clamp(of.low, of.high).mean() > of.mean
        small, large = (small, middle) if too_much else (middle, large)
    assert torch.allclose(ratios, (small * weights).clamp(of.low, of.high), atol=1e-8)


def test_inside_the_ranges_it_is_the_formula_of_the_paper() -> None:
    scores = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    weights = 1 / (1 + (-scores).exp()) + 0.2
    assert torch.allclose(made(0.4, UNIT, 0.2).ratios(scores), 3 * 0.4 * weights / weights.sum())
    assert made(0.4, UNIT, 0.2).ratios(torch.zeros(3, dtype=torch.float64)).tolist() == pytest.approx([0.4] * 3)


@given(cases(), st.integers(0, 2**31))
def test_the_gradient_is_that_of_the_ratios(case: tuple[MeanRatios, torch.Tensor], seed: int) -> None:
    of, scores = case
    by_ratio = torch.randn(len(scores), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights, step = torch.sigmoid(scores) + of.epsilon, 1e-6
    # Above 0 inside of the range, below 0 where it is cut off.
    ends = torch.minimum(of._scale(weights) * weights - of.low, of.high - of._scale(weights) * weights)
    assume(bool((ends.abs() > 1e-3).all()))  # no bend within a step
    gradient = of.gradient(scores, by_ratio)
    for group in range(len(scores)):
        shift = torch.zeros_like(scores)
        shift[group] = step
        slope = ((of.ratios(scores + shift) - of.ratios(scores - shift)) @ by_ratio).item() / (2 * step)
        if ends[group] > 0:
            assert gradient[group].item() == pytest.approx(slope, abs=1e-5)


def test_a_ratio_at_its_end_has_a_gradient_only_back_into_its_range() -> None:
    scores = torch.tensor([6.0, 0.0, 0.0], dtype=torch.float64)
    of = made(0.8, UNIT, 0.0)
    assert of.ratios(scores)[0] == 1
    harmful, helpful = (torch.tensor([by, 0.0, 0.0], dtype=torch.float64) for by in (1.0, -1.0))
    assert of.gradient(scores, harmful)[0] > 0
    assert of.gradient(scores, helpful)[0] == 0
    assert of.gradient(-scores, torch.zeros(3, dtype=torch.float64)).tolist() == [0, 0, 0]
