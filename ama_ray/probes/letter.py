"""`kind: letter`: the likeliest letter after a prompt that lists lettered choices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.errors import UserError
from ama_ray.probes.base import PreparedProbe, ProbeKind
from ama_ray.probes.choice import ChoiceItems, solved, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class LetterItems(PreparedProbe):
    """The items of a choice probe whose choices are the letters."""

    choices: ChoiceItems

    @property
    def count(self) -> int:
        """The number of items."""
        return self.choices.count

    @property
    def chance(self) -> float:
        """What a model that guesses scores."""
        return self.choices.chance

    def said(self, answers: Sequence[Any]) -> list[str]:
        """The choice of the model, for every item."""
        return self.choices.chosen(answers, self.texts)

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """1 where the right letter is the most likely one, else 0."""
        return self.choices.statistics(answers, base)


class Letter(ProbeKind):
    """The likeliest letter after a prompt that lists lettered choices (A, B, ...).

    Rows: `prompt`, shown as it is; `choices`, of which only the number matters; `gold` (index or letter). Where
    every letter is one token, an item costs one generated token. `delimiter` as for `choice`.
    """

    scored_by: ClassVar[str] = "mean"

    kind: Literal["letter"] = "letter"
    delimiter: str = Field(" ", description="between prompt and letter")

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> LetterItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, or its gold is none of its choices.
        """
        choices = ChoiceItems.of(name, [_lettered(row) for row in rows], prompting, self.delimiter)
        return LetterItems(name, choices.requests, choices)

    def solved(self, row: Row) -> str:
        """The prompt with the right letter."""
        return solved(_lettered(row), self.delimiter)


class LetterProbe(Letter, Prompted, FileProbe):
    """A `letter` probe on a file."""


def _lettered(row: Row) -> Row:
    """The row of the choice probe that asks for the letters."""
    prompt, letters = row.text("prompt"), list(ascii_uppercase[: len(texts(row, "choices"))])
    if len(row.fields["choices"]) > len(letters):
        raise UserError(f"{row.where}: the field 'choices' has {len(row.fields['choices'])}, and there are 26 letters.")
    gold = row.get("gold")
    if isinstance(gold, str):
        if gold not in letters:
            raise UserError(f"{row.where}: the field 'gold' must be a letter from A to {letters[-1]}, not {gold!r}.")
        gold = letters.index(gold)
    return replace(row, fields={"prompt": prompt, "choices": letters, "gold": gold})
