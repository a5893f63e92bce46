"""`kind: exact`: greedy generation, stripped, equal to the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.engine.requests import Generation
from ama_ray.jsonl import read_rows, text_field
from ama_ray.tokens import prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config import ExactProbe
    from ama_ray.tokens import Tokenizer


@dataclass(frozen=True)
class ExactItems:
    """An exact-match probe, read and tokenised: a greedy request and the right answer per item."""

    settings: ExactProbe
    requests: tuple[Generation, ...]
    answers: tuple[str, ...]

    @classmethod
    def read(cls, probe: ExactProbe, tokenizer: Tokenizer) -> ExactItems:
        """Reads and tokenises the probe's file.

        Raises:
            UserError: A row lacks a field.
        """
        requests, answers = [], []
        for number, row in enumerate(read_rows(probe.file), start=1):
            prompt = prompt_tokens(tokenizer, text_field(row, "prompt", probe.file, number), probe.file, number)
            requests.append(Generation(prompt, max_tokens=probe.max_tokens, stop=probe.stop))
            answers.append(text_field(row, "answer", probe.file, number).strip())
        return cls(probe, tuple(requests), tuple(answers))

    def item_scores(self, replies: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """1 where the one reply, stripped, equals the answer, else 0."""
        hits = [reply.strip() == answer for (reply,), answer in zip(replies, self.answers, strict=True)]
        return np.array(hits, dtype=np.float64)
