"""`kind: choice`: the choice with the highest log-likelihood given the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.probes.base import PreparedProbe, ProbeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row
    from ama_ray.scores.item_text import ItemText


@dataclass(frozen=True)
class ChoiceItems(PreparedProbe):
    """The items of a choice probe.

    Each is a request with the choices as continuations, or, where choices have prompts of their own, one per choice.

    Attributes:
        sizes: The number of requests, per item.
        lengths: Per item, what each choice's log-likelihood is divided by before they are compared.
        gold: The index of the right choice, per item.
    """

    requests: tuple[Continuations, ...]
    sizes: tuple[int, ...]
    lengths: tuple[tuple[float, ...], ...]
    gold: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of items."""
        return len(self.gold)

    @property
    def chance(self) -> float:
        """What a model that guesses scores."""
        return float(np.mean([1 / len(lengths) for lengths in self.lengths]))

    @classmethod
    def of(
        cls, name: str, rows: Sequence[Row], prompting: Prompting, delimiter: str, metric: str = "acc"
    ) -> ChoiceItems:
        """Checks and tokenises rows.

        Args:
            name: The name of the probe.
            rows: The items.
            prompting: It makes tokens of prompts.
            delimiter: What stands between prompt and choice.
            metric: `acc`, or `acc_norm` to divide log-likelihoods by the length of the choices.

        Raises:
            UserError: A row lacks a field, has fewer than two choices, or a gold index that is none of them.
        """
        # The model's turn, which a chat template has begun, starts without a delimiter, as in lm-evaluation-harness.
        delimiter = "" if prompting.chat else delimiter
        requests: list[Continuations] = []
        sizes, lengths, gold = [], [], []
        for row in rows:
            parts = _parts(row)
            asked = _requests([prompting.pair(prompt, delimiter + choice, row) for prompt, choice in parts])
            requests += asked
            sizes.append(len(asked))
            lengths.append(tuple(float(len(choice)) if metric == "acc_norm" else 1.0 for _, choice in parts))
            gold.append(_gold(row, len(parts)))
        return cls(name, tuple(requests), tuple(sizes), tuple(lengths), tuple(gold))

    def compared(self, answers: Sequence[Any]) -> list[NDArray[np.float64]]:
        """Per item, what the choices are compared by, shape (choices,): the highest is the model's choice."""
        flat = iter(answers)
        return [
            np.divide(list(chain.from_iterable(islice(flat, size))), lengths)
            for size, lengths in zip(self.sizes, self.lengths, strict=True)
        ]

    def said(self, answers: Sequence[Any]) -> list[str]:
        """The choice of the model, for every item."""
        return self.chosen(answers, self.texts)

    def chosen(self, answers: Sequence[Any], texts: Sequence[ItemText]) -> list[str]:
        """The choice of the model, for every item, of those that the texts have."""
        best = [int(np.argmax(scores)) for scores in self.compared(answers)]
        return [item.choices[place] for item, place in zip(texts, best, strict=False)]

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """1 where the right choice is the most likely one, else 0; the first wins a tie, as in numpy's argmax."""
        best = [np.argmax(scores) for scores in self.compared(answers)]
        return np.equal(best, self.gold).astype(np.float64)[:, None]


class Choice(ProbeKind):
    """The choice with the highest log-likelihood given the prompt.

    Rows: `prompt`, `choices` (list of strings), `gold` (index); or `prompts` (one per choice), `continuation` and
    `gold`, for choices that stand in the prompt. The engine is shown the prompt, `delimiter`, and the choice; with
    `chat`, the choice begins the model's turn and has no delimiter in front. `acc` compares sums of log-probabilities,
    `acc_norm` divides each by the length of the choice in characters, both as lm-evaluation-harness defines them.
    """

    scored_by: ClassVar[str] = "mean"

    kind: Literal["choice"] = "choice"
    metric: Literal["acc", "acc_norm"] = Field("acc", description="what choices are compared by")
    delimiter: str = Field(" ", description="between prompt and choice")

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> ChoiceItems:
        """Checks and tokenises rows; see `ChoiceItems.of`."""
        return ChoiceItems.of(name, rows, prompting, self.delimiter, self.metric)

    def solved(self, row: Row) -> str:
        """The prompt with the right choice."""
        return solved(row, self.delimiter)


class ChoiceProbe(Choice, Prompted, FileProbe):
    """A `choice` probe on a file."""


def solved(row: Row, delimiter: str) -> str:
    """A row as a solved example: the prompt with the right choice.

    Raises:
        UserError: As for `ChoiceItems.of`.
    """
    parts = _parts(row)
    return delimiter.join(parts[_gold(row, len(parts))])


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
