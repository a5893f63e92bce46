"""A sampler that Python gives as an object."""

from __future__ import annotations

import copy
from typing import Any

import optuna
import pytest

from ama_ray.errors import UserError
from ama_ray.tuning import samplers
from ama_ray.tuning.samplers import SamplerContext
from tests.support.suggestions import RANGES, objectives


def context(known: int = 0) -> SamplerContext:
    return SamplerContext(RANGES, objectives("reward"), 40, 1, 3, 0, known)


def drawn_next(sampler: optuna.samplers.RandomSampler) -> float:
    """What it would draw next; it draws nothing."""
    return float(copy.deepcopy(sampler)._rng.rng.random_sample())


def test_it_is_taken_as_it_is_and_tried_out_as_a_copy() -> None:
    sampler = optuna.samplers.RandomSampler(seed=3)
    before = drawn_next(sampler)
    samplers.check("optuna.samplers.RandomSampler", 2, sampler)
    assert samplers.make("its name", context(), sampler) == (sampler, "its name")
    assert drawn_next(sampler) == before


def test_going_on_it_does_not_repeat_itself() -> None:
    sampler = optuna.samplers.RandomSampler(seed=3)
    before = drawn_next(sampler)
    samplers.make("its name", context(known=4), sampler)
    assert drawn_next(sampler) != before


class OnlyOne(optuna.samplers.RandomSampler):
    def sample_independent(self, study: optuna.Study, *arguments: Any) -> Any:
        study.best_value  # noqa: B018  refuses several objectives
        return super().sample_independent(study, *arguments)


class Half:
    def sample_relative(self) -> None: ...


@pytest.mark.parametrize(("sampler", "words"), [(OnlyOne(), "cannot search 2 objectives"), (Half(), "not a subclass")])
def test_what_cannot_search_is_refused(sampler: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        samplers.check("its name", 2, sampler)
