"""What sacrebleu sums over the segments of a corpus, and the score of such sums: neither is in its public interface."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

CorpusMetric = Literal["bleu", "chrf"]


@cache
def _metric(name: CorpusMetric) -> Any:
    """The metric of this name as sacrebleu has it, with its defaults."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # `force` leaves out a warning about replies that look tokenised, and changes no score.
    return BLEU(force=True) if name == "bleu" else CHRF()


def segment_sums(
    name: CorpusMetric, replies: Sequence[str], references: Sequence[Sequence[str | None]]
) -> list[list[float]]:
    """What the metric sums up, for every reply: for BLEU both lengths and n-gram counts, for chrF n-gram counts.

    Args:
        name: The metric.
        replies: The replies of the model.
        references: The first references of all replies, then the second ones, and so on; None where there is none.
    """
    sums: list[list[float]] = _metric(name)._extract_corpus_statistics(replies, references)
    return sums


def score_of_sums(name: CorpusMetric, sums: list[float]) -> float:
    """The score of a corpus, 0-100.

    Args:
        name: The metric.
        sums: What `segment_sums` gives, summed over the replies of the corpus.
    """
    return float(_metric(name)._compute_score_from_stats(sums).score)
