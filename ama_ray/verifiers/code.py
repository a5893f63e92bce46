"""`CodeVerifier`: programs that pass their tests, run in a sandbox."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ama_ray.errors import UserError
from ama_ray.processes import sandbox
from ama_ray.verifiers.base import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.rows import Row
    from ama_ray.processes.sandbox import Limits

Isolation = Literal["namespaces", "none"]

AT_A_TIME = 8
"""Most programs that run at a time; on a machine that is busy with them they would run into their limit on time."""

_BLOCK = re.compile(r"```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class CodeVerifier(Verifier):
    """Runs what stands in front of a reply, its code, and the tests of its row, one after the other as one program.

    Attributes:
        limits: What a program may take.
        isolation: Whether it is isolated.
    """

    limits: Limits
    isolation: Isolation

    def read(self, row: Row) -> tuple[str, str]:
        """What stands in front of the code, and the tests.

        Raises:
            UserError: The row has no tests, or programs cannot be isolated on this machine.
        """
        if self.isolation == "namespaces" and (trouble := sandbox.trouble()):
            raise UserError(
                f"{row.where}: {trouble}; allow user namespaces on this machine, or set `sandbox: none` to run what "
                "the model writes as a process of yours."
            )
        prefix = row.text("prefix") if "prefix" in row.fields else ""
        return prefix, row.text("test")

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """See `Verifier`; at most half of the cores run programs."""
        cores = len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(max(1, min(cores // 2, AT_A_TIME))) as threads:
            return list(threads.map(self._score, replies, rights))

    def findings(self) -> str:
        """Where programs run."""
        if self.isolation == "none":
            return (
                "code: programs run as processes of this user, with limits of time, memory and files: `sandbox: none`"
            )
        return (
            "code: every program runs in Linux namespaces of its own (users, processes, files, network), with "
            f"{self.limits.seconds:g} s, {self.limits.memory_mb} MB a process, {self.limits.processes} processes, "
            f"{self.limits.files_mb} MB of files"
        )

    def _score(self, reply: str, right: tuple[str, str]) -> float:
        prefix, test = right
        program = f"{prefix}{code_of(reply)}\n\n{test}\n"
        return float(sandbox.run(program, self.limits, isolated=self.isolation == "namespaces"))


def code_of(reply: str) -> str:
    """The code in a reply: its first block between fences that defines something, or its first; without any, all."""
    blocks: list[str] = _BLOCK.findall(reply)
    return next((block for block in blocks if "def " in block), blocks[0]) if blocks else reply
