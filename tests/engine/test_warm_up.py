"""The comparison of two scorers of one token at an engine's start: roundings pass, another token's score does not."""

from __future__ import annotations

from typing import Any

import pytest

from ama_ray.engine.prefix_tree import ScoringError
from ama_ray.engine.requests import Answer
from tests.support.words import StandInEngine, WordTokenizer


class Scored(StandInEngine):
    """Generates tokens with a log-probability of -1, and scores them with -1 - `gap`."""

    def __init__(self, dtype: str, gap: float) -> None:
        super().__init__(WordTokenizer())
        self.dtype, self.gap = dtype, gap

    @property
    def _dtype(self) -> str:
        return self.dtype

    def _run(self, prompts: list[list[int]], params: list[dict[str, Any]], finished: Any = None) -> list[Answer]:
        if "extra_args" in params[0]:
            return [Answer([], [], [], [], None, ([7, 8], [-1 - self.gap] * 2))]
        return [Answer([], [], [], [], ([7, 8], [-1.0, -1.0]), None)]


@pytest.mark.parametrize(
    ("dtype", "gap"),
    [
        ("float32", 0.001),
        # Two steps of a logit between 64 and 128: 8 bits of mantissa are 0.5 there, 11 bits are 0.0625.
        ("bfloat16", 2 * 128 * 2.0**-8),
        ("float16", 2 * 128 * 2.0**-11),
    ],
)
def test_roundings_of_the_engine_s_precision_pass(dtype: str, gap: float) -> None:
    Scored(dtype, gap)._check_scores()


@pytest.mark.parametrize(("dtype", "gap"), [("float32", 0.1), ("float16", 1.0), ("bfloat16", 4.0)])
def test_another_token_s_score_does_not(dtype: str, gap: float) -> None:
    with pytest.raises(ScoringError, match="when generated have"):
        Scored(dtype, gap)._check_scores()
