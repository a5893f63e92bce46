"""Plain vLLM as the second reference: what passes, what is kept, and how it ends; a script stands in for vLLM."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine import plain_vllm
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.plain_vllm import PlainVllm
from ama_ray.engine.verdict import PROMPTS
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import make_pair, stored

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.engine.verdict import Outputs

ANSWERS: Outputs = [[(number, -0.5 * number) for number in range(8)] for _ in range(PROMPTS)]
PYTHON = sys.executable
SCRIPT = """#!{python}
import json, shutil, sys, time
order = json.load(sys.stdin)
shutil.copytree(order["folder"], {seen!r}, dirs_exist_ok=True)
time.sleep({seconds})
json.dump({answers}, open(order["out"], "w"))
"""


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Pair.open(*map(str, make_pair(tmp_path, layers=2)))


def plain(pair: Pair, dtype: str = "float32") -> tuple[PlainVllm, Subject]:
    settings = EngineSettings.model_validate({"dtype": dtype})
    subject = Subject.of(pair, SearchSpace.load("per-layer").resolve(pair.names), settings)
    return PlainVllm(pair, subject, settings), subject


def answer(monkeypatch: pytest.MonkeyPatch, folder: Path, answers: Outputs, seconds: float = 0) -> Path:
    """Has a script answer in the place of Python; returns the folder where it keeps the checkpoint it was given."""
    script, seen = folder / "script", folder / "seen"
    text = SCRIPT.format(python=PYTHON, seen=str(seen), seconds=seconds, answers=json.dumps(answers))
    script.write_text(text)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return seen


def shifted(by: float) -> Outputs:
    return [[(token, p + by) for token, p in each] for each in ANSWERS]


def test_it_is_asked_about_the_export_of_the_checked_merge_and_kept(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, subject = plain(pair)
    assert asked.known is None
    seen = answer(monkeypatch, tmp_path, shifted(1e-4))
    verdict = asked.check(ANSWERS)
    assert verdict.passed
    assert verdict.equal == PROMPTS
    assert verdict.largest_difference == pytest.approx(1e-4)
    merge, base, aligned = (stored(folder) for folder in (seen, pair.base.folder, pair.aligned.folder))
    shares_of = subject.groups.shares_of(subject.ratios[0])
    assert all(
        tensor.equal(interpolate(base[name], aligned[name], shares_of[name][0])) for name, tensor in merge.items()
    )
    known = plain(pair)[0].known
    assert known is not None
    assert known.cached
    assert plain(pair, "bfloat16")[0].known is None


@pytest.mark.parametrize(("dtype", "most"), plain_vllm.TOLERANCE.items())
def test_what_is_further_off_than_its_precision_explains_is_refused_and_not_kept(
    dtype: str, most: float, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, tmp_path, shifted(1.01 * most))
    verdict = plain(pair, dtype)[0].check(ANSWERS)
    assert "does not answer as plain vLLM on the export (16 of 16 prompts" in verdict.trouble
    assert plain(pair, dtype)[0].known is None
    answer(monkeypatch, tmp_path, shifted(0.99 * most))
    assert plain(pair, dtype)[0].check(ANSWERS).passed


@pytest.mark.parametrize(("others", "passes"), [(PROMPTS // 2, True), (PROMPTS // 2 + 1, False)])
def test_other_tokens_may_be_as_likely_but_not_everywhere(
    others: int, passes: bool, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = [[*each[:5], (99, each[5][1]), (98, -7.0), (97, -7.0)] for each in ANSWERS[:others]]
    answer(monkeypatch, tmp_path, another + ANSWERS[others:])
    assert plain(pair)[0].check(ANSWERS).passed == passes


def test_why_it_does_not_run_is_told(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho loading\necho 'RuntimeError: no kernel' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    assert plain(pair)[0].check(ANSWERS).trouble == "plain vLLM does not run on its export (RuntimeError: no kernel)"
    script.write_text("#!/bin/sh\nexit 3\n")
    assert "it ended with code 3" in plain(pair)[0].check(ANSWERS).trouble


def test_who_closes_it_does_not_wait(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = answer(monkeypatch, tmp_path, ANSWERS, seconds=600)
    asked, _ = plain(pair)
    found = []
    thread = threading.Thread(target=lambda: found.append(asked.check(ANSWERS)))
    thread.start()
    until = time.monotonic() + 60
    while not seen.is_dir():
        assert time.monotonic() < until
        time.sleep(0.01)
    asked.close()
    thread.join(60)
    assert [verdict.passed for verdict in found] == [False]
