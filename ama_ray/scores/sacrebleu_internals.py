"""What sacrebleu keeps private: the statistics that it sums over segments, and the score of such sums."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


def segment_statistics(
    metric: Literal["bleu", "chrf"], replies: Sequence[str], references: Sequence[Sequence[str | None]]
) -> list[list[int]]:
    """What sacrebleu sums over segments, segment by segment.

    Args:
        metric: The name of the metric.
        replies: The reply of every segment.
        references: The first references of all segments, then the second ones, and so on; None where there is none.
    """
    statistics: list[list[int]] = _metric(metric)._extract_corpus_statistics(replies, references)
    return statistics


def score_of_sums(metric: Literal["bleu", "chrf"], sums: Sequence[float]) -> float:
    """The score (0-100) of summed statistics."""
    return float(_metric(metric)._compute_score_from_stats(sums).score)


@cache
def _metric(name: Literal["bleu", "chrf"]) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # `force` leaves out a warning about replies that look tokenised, and changes no score.
    return BLEU(force=True) if name == "bleu" else CHRF()
