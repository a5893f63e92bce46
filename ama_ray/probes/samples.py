"""What several replies to one item come to: their mean, pass@k, the vote of the majority."""

from __future__ import annotations

from collections import Counter
from math import comb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    Votes = Sequence[Hashable | None]


def average(votes: Votes, scores: Sequence[float], k: int) -> float:
    """The mean of the scores (avg@n)."""
    return sum(scores) / len(scores)


def pass_at(votes: Votes, scores: Sequence[float], k: int) -> float:
    """The chance that of k replies, drawn from the n without putting back, one is right.

    That is without bias for the chance of k new replies (Chen et al. 2021, arXiv 2107.03374).
    """
    wrong = sum(score < 1 for score in scores)
    return 1 - comb(wrong, k) / comb(len(scores), k)


def majority(votes: Votes, scores: Sequence[float], k: int) -> float:
    """The score of the answer that most replies give; of several with as many votes, the mean of their scores.

    Replies without an answer do not vote; where none votes, it is 0.
    """
    counts = Counter(vote for vote in votes if vote is not None)
    score_of = dict(zip(votes, scores, strict=True))
    most = max(counts.values(), default=0)
    winners = [vote for vote, count in counts.items() if count == most]
    return sum(score_of[vote] for vote in winners) / len(winners) if winners else 0.0


METRICS: dict[str, Callable[[Votes, Sequence[float], int], float]] = {
    "avg": average,
    "pass": pass_at,
    "maj": majority,
}
"""By name: of the answers in the replies to one item, their scores (0-1), and k, the score of the item (0-1)."""


def name(metric: str) -> str:
    """The name in `METRICS` of a metric such as `pass@4`."""
    return metric.partition("@")[0]


def size(metric: str) -> int:
    """The k of a metric such as `pass@4`; 1 of one that takes all replies."""
    return int(metric.partition("@")[2] or 1)
