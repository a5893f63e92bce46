"""The reward as a win rate against reference replies, through a Python function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.rewards.base import Scored, ScorerError
from ama_ray.rewards.function import FunctionScores, called

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import PairwiseReward
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class PairwiseScores(FunctionScores):
    """A function of the user, `compare(rows, replies, references)`, with its prompts.

    It gives the chance, from 0 to 1, that the reply is the better of the two.
    """

    settings: PairwiseReward

    def check(self) -> None:
        """Also looks for the reference of every row.

        Raises:
            UserError: A row has none, or the function fails.
        """
        for row in self.rows:
            row.text(self.settings.reference)
        super().check()

    def _score(self, rows: Sequence[Row], replies: Sequence[str]) -> Scored:
        references = [row.text(self.settings.reference) for row in rows]
        fields = [row.fields for row in rows]
        chances = called(self.address, self.scorer, replies, fields, list(replies), references)
        for chance, reply in zip(chances, replies, strict=True):
            if not 0 <= chance <= 1:
                raise ScorerError(
                    f"the scorer {self.address} returned {chance:g} for the reply {reply!r:.80}; the chance that the "
                    "reply is the better one lies between 0 and 1"
                )
        return Scored(chances)
