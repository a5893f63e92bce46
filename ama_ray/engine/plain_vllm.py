"""Plain vLLM as a second reference of the deep check, where this project changes vLLM itself.

On a CPU it does (`ama_ray.engine.worker.vllm_patches`), and the deep check cannot see what both of its sides share. So
once per shape of model and version of vLLM the merge is exported, and vLLM, in a process of its own and without a line
of this project's in its workers, must answer as the engine after a swap.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.checkpoints import merging
from ama_ray.config import EngineSettings
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import CONTEXT, NEW_TOKENS
from ama_ray.engine.verdict import Verdict, VerdictCache, compare
from ama_ray.errors import last_line

if TYPE_CHECKING:
    from ama_ray.checkpoints.pair import Pair
    from ama_ray.engine.deep_check import Subject
    from ama_ray.engine.verdict import Outputs

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.25, "float16": 0.05}
"""Largest difference of a log-probability that passes, by precision: other kernels add up in another order."""
LEAST_EQUAL = 0.5
"""Share of the prompts whose greedy tokens must all be the same; two tokens may be as likely."""


class PlainVllm:
    """Plain vLLM on the export of one merge; its verdict is kept."""

    def __init__(self, pair: Pair, subject: Subject, settings: EngineSettings, *, again: bool = False) -> None:
        """Starts nothing yet.

        Args:
            pair: Opened.
            subject: Of the deep check, which asks the same prompts.
            settings: With `dtype` resolved.
            again: Whether to forget what is known.
        """
        self._pair, self._subject, self._settings = pair, subject, settings
        here = [platform.machine(), torch.backends.cpu.get_cpu_capability()]
        self._cache = VerdictCache("plain-vllm", deep_check.shape_key(pair, settings) | {"cpu": here})
        self.known = None if again else self._cache.read()
        self._process: subprocess.Popen[str] | None = None
        self._closed = threading.Event()

    def check(self, swapped: Outputs) -> Verdict:
        """Compares, which takes as long as starting an engine.

        Args:
            swapped: The answers of the engine after a swap to the first ratios.
        """
        with tempfile.TemporaryDirectory(prefix="ama_ray-plain-vllm-") as scratch:
            merge = Path(scratch) / "merge"
            merging.export(self._pair, self._subject.groups.shares_of(self._subject.ratios[0]), merge)
            answers, why = self._ask(merge, Path(scratch) / "answers.json")
        if answers is None:
            return Verdict.refused(f"plain vLLM does not run on its export ({why})")
        equal, largest = compare(swapped, answers)
        verdict = Verdict(0, equal, len(swapped), largest)
        if largest > TOLERANCE[self._settings.dtype] or equal < LEAST_EQUAL * len(swapped):
            return verdict.with_trouble("after a swap it does not answer as plain vLLM on the export")
        self._cache.write(verdict)
        return verdict

    def close(self) -> None:
        """Ends it, from any thread."""
        self._closed.set()
        if self._process is not None:
            self._process.kill()

    def _ask(self, merge: Path, out: Path) -> tuple[Outputs | None, str]:
        order = {
            "folder": str(merge),
            "out": str(out),
            "settings": self._settings.model_dump(mode="json"),
            "prompts": self._subject.prompts,
        }
        command = [sys.executable, "-m", __name__]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        if self._closed.is_set():
            self._process.kill()
        said, _ = self._process.communicate(json.dumps(order))
        if self._process.returncode or not out.is_file():
            return None, last_line(said) or f"it ended with code {self._process.returncode}"
        return [[(token, p) for token, p in answer] for answer in json.loads(out.read_text(encoding="utf-8"))], ""


def main() -> None:
    """Answers the order on the standard input."""
    os.nice(10)  # the trials beside it come first
    from ama_ray.engine.in_process import plain_greedy_logprobs

    order: dict[str, Any] = json.load(sys.stdin)
    settings = EngineSettings(**order["settings"])
    answers = plain_greedy_logprobs(Path(order["folder"]), settings, CONTEXT, order["prompts"], NEW_TOKENS)
    Path(order["out"]).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
