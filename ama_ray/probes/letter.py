"""`kind: letter`: the likeliest letter after a prompt that lists lettered choices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from ama_ray.config.probes import Choice
from ama_ray.errors import UserError
from ama_ray.probes import choice
from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.choice import ChoiceItems

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.config.probes import Letter
    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class LetterItems(PreparedProbe):
    """A choice probe whose choices are the letters."""

    choices: ChoiceItems

    @classmethod
    def build(cls, name: str, kind: Letter, rows: Sequence[Row], prompting: Prompting) -> LetterItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, or its gold is none of its choices.
        """
        choices = ChoiceItems.build(name, _choice(kind), [_lettered(row) for row in rows], prompting)
        return cls(name, choices.requests, choices)

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """1 where the right letter is the most likely one, else 0."""
        return self.choices.statistics(answers, base)


def solved(kind: Letter, row: Row) -> str:
    """A row as a solved example.

    Raises:
        UserError: As for `LetterItems.build`.
    """
    return choice.solved(_choice(kind), _lettered(row))


def _choice(kind: Letter) -> Choice:
    return Choice(delimiter=kind.delimiter)


def _lettered(row: Row) -> Row:
    """The row of the choice probe that asks for the letters."""
    prompt, letters = row.text("prompt"), list(ascii_uppercase[: len(choice.texts(row, "choices"))])
    if len(row.fields["choices"]) > len(letters):
        raise UserError(f"{row.where}: the field 'choices' has {len(row.fields['choices'])}, and there are 26 letters.")
    gold = row.get("gold")
    if isinstance(gold, str):
        if gold not in letters:
            raise UserError(f"{row.where}: the field 'gold' must be a letter from A to {letters[-1]}, not {gold!r}.")
        gold = letters.index(gold)
    return replace(row, fields={"prompt": prompt, "choices": letters, "gold": gold})
