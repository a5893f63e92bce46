"""A reward model in a process of its own, beside the engine of a trial; both ends of the pipe between the two.

The process ends with the one that started it, as its input then ends. Neither side unpickles anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.engine.classifier.classifier import ClassifierError, ClassifierSettings, load
from ama_ray.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_running: dict[ClassifierSettings, _Process] = {}
"""Those that this process has started: one per reward model, whoever asks it."""


@dataclass(frozen=True)
class OwnProcess:
    """A `Classifier` that starts the process at its first text; until then, and when sent elsewhere, it is settings."""

    settings: ClassifierSettings

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        """See `Classifier`."""
        process = _running.get(self.settings) or _Process(self.settings)
        _running[self.settings] = process
        try:
            return process.scores(tokens)
        except ClassifierError:
            # The next trial starts a new one.
            del _running[self.settings]
            process.end()
            raise


def end_processes() -> None:
    """Ends those that this process has started."""
    while _running:
        _running.popitem()[1].end()


class _Process:
    def __init__(self, settings: ClassifierSettings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(asdict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([list(text) for text in tokens]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ClassifierError(
                f"its process ended with exit code {self._process.wait()}, perhaps for lack of memory"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ClassifierError(answer["error"])
        scores: list[float] = answer["scores"]
        return scores

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Loads the reward model of the first argument, and answers each line of texts with a line of scores."""
    # Whatever a library prints goes to standard error; standard output has the answers alone.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        classifier = None
        for line in sys.stdin:
            try:
                classifier = classifier or load(ClassifierSettings(**json.loads(sys.argv[1])))
                answer: dict[str, Any] = {"scores": classifier.scores(json.loads(line))}
            except ClassifierError as error:
                answer = {"error": str(error)}
            except Exception as error:
                answer = {"error": one_line(error)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
