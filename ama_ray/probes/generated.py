"""Probes that generate greedily and compare the reply with answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.engine.requests import Generation
from ama_ray.probes.prepared import PreparedProbe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config.probes import Exact
    from ama_ray.prompting import Prompting
    from ama_ray.sources import Row


@dataclass(frozen=True)
class ExactItems(PreparedProbe):
    """An exact-match probe: a greedy request and the right answer per item."""

    answers: tuple[str, ...]

    @classmethod
    def build(cls, name: str, kind: Exact, rows: Sequence[Row], prompting: Prompting) -> ExactItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks a field.
        """
        requests = [
            Generation(prompting.tokens(row.text("prompt"), row), max_tokens=kind.max_tokens, stop=kind.stop)
            for row in rows
        ]
        return cls(name, tuple(requests), tuple(row.text("answer").strip() for row in rows))

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """1 where the one reply, stripped, equals the answer, else 0."""
        hits = [reply.strip() == answer for (reply,), answer in zip(answers, self.answers, strict=True)]
        return np.array(hits, dtype=np.float64)[:, None]
