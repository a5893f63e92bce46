"""The sign of a tax, which is said once."""

from __future__ import annotations

import numpy as np
import pytest

from ama_ray.scores.terms import ProbeTerm

ACCURACY, PERPLEXITY = ProbeTerm("facts", "knowledge", "mean"), ProbeTerm("text", "language", "perplexity")


def test_a_tax_is_what_is_lost_whichever_way_scores_are_better() -> None:
    assert ACCURACY.tax_of(0.5, 0.75) == 0.25
    assert PERPLEXITY.tax_of(9.0, 8.5) == 0.5
    assert (ACCURACY.sign, PERPLEXITY.sign) == (1.0, -1.0)


@pytest.mark.parametrize("term", [ACCURACY, PERPLEXITY])
def test_score_and_base_come_back_from_a_tax(term: ProbeTerm) -> None:
    score, base = np.array([0.5, 2.0, 3.0]), np.array([0.75, 1.5, 3.0])
    tax = term.tax_of(score, base)
    np.testing.assert_allclose(term.base_of(score, tax), base)
    np.testing.assert_allclose(term.score_of(tax, base), score)
