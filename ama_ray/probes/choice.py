"""`kind: choice`: the choice with the highest log-likelihood given the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.probes.base import PreparedProbe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config.probes import Calibration, Choice
    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class ChoiceItems(PreparedProbe):
    """A choice probe: a request per item with the choices as continuations, or one per choice with prompts of its own.

    Attributes:
        sizes: Number of requests, per item.
        lengths: Per item, what each choice's log-likelihood is divided by before they are compared.
        gold: Index of the right choice, per item.
    """

    requests: tuple[Continuations, ...]
    sizes: tuple[int, ...]
    lengths: tuple[tuple[float, ...], ...]
    gold: tuple[int, ...]

    @classmethod
    def build(cls, name: str, kind: Choice | Calibration, rows: Sequence[Row], prompting: Prompting) -> ChoiceItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field, has fewer than two choices, or a gold index that is none of them.
        """
        # The model's turn, which a chat template has begun, starts without a delimiter, as in lm-evaluation-harness.
        delimiter = "" if prompting.chat else kind.delimiter
        requests: list[Continuations] = []
        sizes, lengths, gold = [], [], []
        for row in rows:
            parts = _parts(row)
            asked = _requests([prompting.pair(prompt, delimiter + choice, row) for prompt, choice in parts])
            requests += asked
            sizes.append(len(asked))
            lengths.append(tuple(float(len(choice)) if kind.metric == "acc_norm" else 1.0 for _, choice in parts))
            gold.append(_gold(row, len(parts)))
        return cls(name, tuple(requests), tuple(sizes), tuple(lengths), tuple(gold))

    def compared(self, answers: Sequence[Any]) -> list[NDArray[np.float64]]:
        """Per item, what the choices are compared by, shape (choices,): the highest is the model's choice."""
        flat = iter(answers)
        return [
            np.divide(list(chain.from_iterable(islice(flat, size))), lengths)
            for size, lengths in zip(self.sizes, self.lengths, strict=True)
        ]

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """1 where the right choice is the most likely one, else 0; the first wins a tie, as in numpy's argmax."""
        best = [np.argmax(scores) for scores in self.compared(answers)]
        return np.equal(best, self.gold).astype(np.float64)[:, None]


def solved(kind: Choice | Calibration, row: Row) -> str:
    """A row as a solved example.

    Raises:
        UserError: As for `ChoiceItems.build`.
    """
    parts = _parts(row)
    return kind.delimiter.join(parts[_gold(row, len(parts))])


def texts(row: Row, field: str) -> list[str]:
    """The choices, or what stands in their place.

    Raises:
        UserError: The field is missing or is not a list of two or more texts.
    """
    value = row.get(field)
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(each, str) and each for each in value):
        raise UserError(f"{row.where}: the field {field!r} must be a list of two or more texts, none empty.")
    return value


def _parts(row: Row) -> list[tuple[str, str]]:
    """Prompt and continuation of every choice."""
    if "prompts" in row.fields:
        continuation = row.text("continuation")
        return [(prompt, continuation) for prompt in texts(row, "prompts")]
    prompt = row.text("prompt")
    return [(prompt, choice) for choice in texts(row, "choices")]


def _gold(row: Row, choices: int) -> int:
    gold = row.get("gold")
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold < choices:
        raise UserError(f"{row.where}: the field 'gold' must be an index from 0 to {choices - 1}, not {gold!r}.")
    return gold


def _requests(pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[Continuations]:
    # Contexts also differ where a tokenizer merges the end of the prompt with the start of a choice.
    if len({context for context, _ in pairs}) == 1:
        return [Continuations(pairs[0][0], tuple(continuation for _, continuation in pairs))]
    return [Continuations(context, (continuation,)) for context, continuation in pairs]
