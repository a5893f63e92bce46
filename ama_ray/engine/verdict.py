"""`Verdict`: what a check of an engine saw; and the folder in which verdicts are kept for later runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.storage.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping

PROMPTS = 16

Outputs = list[list[tuple[int, float]]]
"""Per prompt, the greedy tokens with their log-probabilities."""


@dataclass(frozen=True)
class Verdict:
    """What a check saw.

    Attributes:
        tensors: How many tensors are equal to the last bit; 0 where answers alone were compared.
        equal: How many prompts have the same greedy tokens.
        prompts: Of how many.
        largest_difference: The largest difference of log-probabilities, in nats, as `compare` defines it.
        trouble: Why no search may start; empty where one may.
        cached: Whether this was known from an earlier run.
    """

    tensors: int
    equal: int
    prompts: int
    largest_difference: float
    trouble: str = ""
    cached: bool = False

    @classmethod
    def refused(cls, trouble: str) -> Verdict:
        """One whose answers were not even compared."""
        return cls(0, 0, 0, 0.0, trouble)

    def with_trouble(self, trouble: str) -> Verdict:
        """The same, refused: a phrase that what was seen is added to."""
        return replace(self, trouble=f"{trouble} ({self._answers})")

    @property
    def passed(self) -> bool:
        """Whether a search may start."""
        return not self.trouble

    @property
    def _answers(self) -> str:
        return (
            f"{self.equal} of {self.prompts} prompts have the same greedy tokens, log-probabilities within "
            f"{self.largest_difference:.1g}"
        )

    def __str__(self) -> str:
        """What was compared, and how close it came."""
        known = ", known from an earlier run" if self.cached else ""
        return f"{f'{self.tensors} tensors equal to the last bit, ' if self.tensors else ''}{self._answers}{known}"


def compare(one: Outputs, other: Outputs) -> tuple[int, float]:
    """Compares greedy answers to the same prompts.

    After the first token that differs both answers go on from different texts, so nothing after it is compared. The
    difference there counts: were no log-probability off by more than d, then the largest of one engine would not be
    either, whichever token has it.

    Returns:
        How many prompts have equal tokens, and the largest difference of the log-probabilities that are compared, in
        nats; infinite where one is NaN.
    """
    equal, largest = 0, 0.0
    for mine, theirs in zip(one, other, strict=True):
        for (token, p), (another, q) in zip(mine, theirs, strict=True):
            gap = abs(p - q)
            largest = max(largest, float("inf") if math.isnan(gap) else gap)
            if token != another:
                break
        else:
            equal += 1
    return equal, largest


class VerdictCache:
    """Verdicts of earlier checks that passed, a small JSON file each, in the user's cache folder."""

    def __init__(self, kind: str, key: Mapping[str, Any]) -> None:
        """Finds the entry.

        Args:
            kind: Of check, a name for a folder.
            key: What the outcome depends on.
        """
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        root = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        self._file = root / "ama_ray" / kind / f"{digest}.json"

    def read(self) -> Verdict | None:
        """The verdict of an earlier check that passed, if there was one."""
        try:
            return replace(Verdict(**json.loads(self._file.read_text(encoding="utf-8"))), cached=True)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, verdict: Verdict) -> None:
        """Keeps a verdict that passed for later runs; where that cannot be written, they check again."""
        if not verdict.passed:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._file) as file:
                json.dump(asdict(verdict), file)
