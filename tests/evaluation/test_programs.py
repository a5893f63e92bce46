"""A trial whose replies are programs, some of them hostile: it is scored, by reward and by probe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from ama_ray.config import RunConfig
from ama_ray.engine.replies import Reply
from ama_ray.evaluation.evaluation import Evaluation
from ama_ray.processes import sandbox
from tests.support.words import StandInEngine, WordTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.engine.requests import Generation

SAID = {
    "right": ("def f(x):\n    return x + 1\n", 1.0),
    "fenced": ("Here it is:\n```python\ndef f(x):\n    return 1 + x\n```\nIt adds one.", 1.0),
    "wrong": ("def f(x):\n    return x\n", 0.0),
    "bomb": ("import os\nwhile True:\n    os.fork()\n", 0.0),
    "loop": ("while True:\n    pass\n", 0.0),
    "leaves": ("import os\nos._exit(0)\n", 0.0),
    "kills": ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(-1, signal.SIGKILL)\n", 0.0),
    "stays": ("import subprocess\nsubprocess.Popen(['sleep', '619.19'], start_new_session=True)\n", 0.0),
}
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(sandbox.trouble()), reason="this machine isolates no programs"),
]


class Programmer(StandInEngine):
    """Says the program that the last word of a prompt stands for."""

    def generate(self, requests: Sequence[Generation]) -> list[list[Reply]]:
        return [[Reply(SAID[self._words[request.prompt[-1]]][0])] * request.n for request in requests]


def test_hostile_programs_are_contained_and_the_trial_is_scored(tmp_path: Path) -> None:
    for split in ("search", "report"):
        rows = [{"prompt": f"{split} {name}", "test": "assert f(1) == 2"} for name in SAID]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {"file": tmp_path / "search.jsonl", "report_file": tmp_path / "report.jsonl"}
    limits: dict[str, Any] = {"kind": "code", "timeout": 2}
    config = RunConfig.from_arguments(
        base="base",
        aligned="aligned",
        reward=limits | {"prompts": files, "sampling": {"n": 1}},
        tax=[limits | {"name": "programs", "family": "code", **files}],
        out=tmp_path / "out",
    )
    tokenizer = WordTokenizer()
    evaluation = Evaluation.prepare(config, tokenizer, None)["search"]
    engine = Programmer(tokenizer)
    base = evaluation.ask(engine)
    measured = evaluation.evaluate(engine, lambda: base)
    expected = [score for _, score in SAID.values()]
    assert measured.items["reward"][:, 0].tolist() == expected
    assert measured.items["programs"][:, 0].tolist() == expected
    assert not [each for each in psutil.process_iter(["cmdline"]) if "619.19" in (each.info["cmdline"] or [])]
