"""`kind: choice`: the choice with the highest log-likelihood given the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.jsonl import read_rows, text_field
from ama_ray.tokens import encode_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config import ChoiceProbe
    from ama_ray.tokens import Tokenizer


@dataclass(frozen=True)
class ChoiceItems:
    """A choice probe, read and tokenised.

    Attributes:
        settings: The probe of the run file.
        requests: One per item: the choices as continuations of the prompt.
        lengths: Per item, what each choice's log-likelihood is divided by before they are compared.
        gold: Index of the right choice, per item.
    """

    settings: ChoiceProbe
    requests: tuple[Continuations, ...]
    lengths: tuple[tuple[float, ...], ...]
    gold: tuple[int, ...]

    @classmethod
    def read(cls, probe: ChoiceProbe, tokenizer: Tokenizer) -> ChoiceItems:
        """Reads and tokenises the probe's file.

        Raises:
            UserError: A row lacks a field, has fewer than two choices, or a gold index that is none of them.
        """
        requests, lengths, gold = [], [], []
        for number, row in enumerate(read_rows(probe.file), start=1):
            prompt = text_field(row, "prompt", probe.file, number)
            choices, answer = row.get("choices"), row.get("gold")
            where = f"{probe.file}, row {number}"
            if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, str) and c for c in choices):
                raise UserError(f"{where}: the field 'choices' must be a list of two or more texts, none empty.")
            if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
                raise UserError(
                    f"{where}: the field 'gold' must be an index from 0 to {len(choices) - 1}, not {answer!r}."
                )
            pairs = [encode_pair(tokenizer, prompt, probe.delimiter + choice) for choice in choices]
            if not all(context and continuation for context, continuation in pairs):
                raise UserError(f"{where}: the prompt or a choice has no tokens; give both some text.")
            if len({context for context, _ in pairs}) > 1:
                raise UserError(
                    f"{where}: the end of the prompt and the start of a choice merge into one token, differently for "
                    "each choice; use a delimiter that separates them, such as a space."
                )
            requests.append(Continuations(pairs[0][0], tuple(continuation for _, continuation in pairs)))
            lengths.append(tuple(float(len(c)) if probe.metric == "acc_norm" else 1.0 for c in choices))
            gold.append(answer)
        return cls(probe, tuple(requests), tuple(lengths), tuple(gold))

    def item_scores(self, loglikelihoods: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """1 where the right choice is the most likely one, else 0; the first wins a tie, as in numpy's argmax.

        Args:
            loglikelihoods: Per item, a sum of log-probabilities per choice.
        """
        best = [
            int(np.argmax(np.divide(row, length))) for row, length in zip(loglikelihoods, self.lengths, strict=True)
        ]
        return np.equal(best, self.gold).astype(np.float64)
