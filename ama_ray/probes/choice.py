"""`kind: choice`: the choice with the highest log-likelihood given the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.probes.prepared import PreparedProbe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config.probes import Choice
    from ama_ray.prompting import Prompting
    from ama_ray.sources import Row


@dataclass(frozen=True)
class ChoiceItems(PreparedProbe):
    """A choice probe: a request per item, with the choices as continuations of the prompt.

    Attributes:
        lengths: Per item, what each choice's log-likelihood is divided by before they are compared.
        gold: Index of the right choice, per item.
    """

    lengths: tuple[tuple[float, ...], ...]
    gold: tuple[int, ...]

    @classmethod
    def build(cls, name: str, kind: Choice, rows: Sequence[Row], prompting: Prompting) -> ChoiceItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, has fewer than two choices, or a gold index that is none of them.
        """
        requests, lengths, gold = [], [], []
        for row in rows:
            prompt = row.text("prompt")
            choices, answer = row.get("choices"), row.get("gold")
            if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, str) and c for c in choices):
                raise UserError(f"{row.where}: the field 'choices' must be a list of two or more texts, none empty.")
            if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
                raise UserError(
                    f"{row.where}: the field 'gold' must be an index from 0 to {len(choices) - 1}, not {answer!r}."
                )
            pairs = [prompting.pair(prompt, kind.delimiter + choice, row) for choice in choices]
            if len({context for context, _ in pairs}) > 1:
                raise UserError(
                    f"{row.where}: the end of the prompt and the start of a choice merge into one token, differently "
                    "for each choice; use a delimiter that separates them, such as a space."
                )
            requests.append(Continuations(pairs[0][0], tuple(continuation for _, continuation in pairs)))
            lengths.append(tuple(float(len(c)) if kind.metric == "acc_norm" else 1.0 for c in choices))
            gold.append(answer)
        return cls(name, tuple(requests), tuple(lengths), tuple(gold))

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """1 where the right choice is the most likely one, else 0; the first wins a tie, as in numpy's argmax."""
        best = [int(np.argmax(np.divide(row, length))) for row, length in zip(answers, self.lengths, strict=True)]
        return np.equal(best, self.gold).astype(np.float64)[:, None]
