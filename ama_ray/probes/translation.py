"""`kind: bleu` and `kind: chrf`: scores of a whole corpus of greedy replies, by sacrebleu."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.generated import greedy, right_answers
from ama_ray.scores.sacrebleu_internals import segment_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config.probes import Bleu, Chrf
    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class TranslationItems(PreparedProbe):
    """A greedy request and its references per item.

    Attributes:
        metric: By which replies are compared with references.
        references: Of every item, one or more.
    """

    metric: Literal["bleu", "chrf"]
    references: tuple[tuple[str, ...], ...]

    @classmethod
    def build(cls, name: str, kind: Bleu | Chrf, rows: Sequence[Row], prompting: Prompting) -> TranslationItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, or its answer is neither a text nor a list of texts.
        """
        return cls(name, greedy(kind, rows, prompting), kind.kind, tuple(right_answers(row) for row in rows))

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """What sacrebleu sums over segments: for BLEU both lengths and n-gram counts, for chrF n-gram counts."""
        replies = [reply for (reply,) in answers]
        # sacrebleu wants the first references of all items, then the second ones, and takes None for one that is not.
        references = list(zip_longest(*self.references))
        return np.array(segment_statistics(self.metric, replies, references), dtype=np.float64)
