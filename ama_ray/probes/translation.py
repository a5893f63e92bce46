"""`kind: bleu` and `kind: chrf`: scores of a whole corpus of replies, by sacrebleu."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.generated import GeneratedKind, right_answers
from ama_ray.scores.sacrebleu_internals import segment_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class TranslationItems(PreparedProbe):
    """A request and its references per item.

    Attributes:
        metric: What replies are compared with references by.
        references: One or more references for every item.
    """

    metric: Literal["bleu", "chrf"]
    references: tuple[tuple[str, ...], ...]

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """What sacrebleu sums over segments: for BLEU both lengths and n-gram counts, for chrF n-gram counts."""
        replies = [reply.text for (reply,) in answers]
        # sacrebleu wants the first references of all items, then the second ones, and takes None for one that is not.
        return np.array(segment_sums(self.metric, replies, list(zip_longest(*self.references))), dtype=np.float64)


class Bleu(GeneratedKind):
    """Corpus BLEU of replies as sacrebleu computes it, here from 0 to 1. Rows as for `exact`."""

    scored_by: ClassVar[str] = "bleu"

    kind: Literal["bleu"] = "bleu"

    def build(
        self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None
    ) -> TranslationItems:
        """Checks and tokenises rows; an answer is a text or a list of texts."""
        return TranslationItems(name, self.requests(rows, prompting), "bleu", tuple(map(right_answers, rows)))


class Chrf(GeneratedKind):
    """Corpus chrF of replies as sacrebleu computes it, here from 0 to 1. Rows as for `exact`."""

    scored_by: ClassVar[str] = "chrf"

    kind: Literal["chrf"] = "chrf"

    def build(
        self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None
    ) -> TranslationItems:
        """Checks and tokenises rows; an answer is a text or a list of texts."""
        return TranslationItems(name, self.requests(rows, prompting), "chrf", tuple(map(right_answers, rows)))


class BleuProbe(Bleu, Prompted, FileProbe):
    """A `bleu` probe on a file."""


class ChrfProbe(Chrf, Prompted, FileProbe):
    """A `chrf` probe on a file."""
