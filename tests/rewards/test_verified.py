from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ama_ray.engine.replies import Reply
from ama_ray.errors import UserError
from ama_ray.processes import sandbox
from ama_ray.processes.sandbox import SandboxError
from ama_ray.processes.worker import end_workers
from ama_ray.rewards.base import ScorerError
from tests.support.replies import said
from tests.support.rewards import prepare

LATER = {
    "math": {"prompt": "later", "answer": "3"},
    "code": {"prompt": "later", "test": "assert True"},
    "regex": {"prompt": "later", "pattern": "x"},
    "json": {"prompt": "later"},
}
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "math": ({"answer": "1/2"}, "so 0.5", "so 5"),
    "code": ({"test": "assert f(1) == 2"}, "def f(x): return 2 * x", "def f(x): return x"),
    "regex": ({"pattern": "ye+s"}, "yeees", "no"),
    "json": ({"schema": {"type": "array"}}, "[1]", "{}"),
}


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()


@pytest.mark.parametrize("kind", CASES)
def test_a_reward_is_the_share_of_replies_that_are_right(tmp_path: Path, kind: str) -> None:
    if kind == "code" and sandbox.trouble():
        pytest.skip(sandbox.trouble())
    fields, right, wrong = CASES[kind]
    rows = [{"prompt": name, **fields} for name in ("a", "b")]
    reward, _ = prepare(tmp_path, rows=rows, later=[LATER[kind]], kind=kind, sampling={"n": 2})
    scored = reward.score(said([[right, wrong], [wrong, right]]))
    assert scored.scores.tolist() == [[1, 0], [0, 1]]
    cut_off = [[Reply(right, cut_off=True), Reply(right)]] * 2
    assert reward.score(cut_off).items.tolist() == [[0.5], [0.5]]
    assert bool(reward.findings()) == (kind == "code")


@pytest.mark.parametrize("kind", ["math", "code", "regex"])
def test_a_row_that_nothing_can_be_held_against_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"prompts.jsonl, line 1: "):
        prepare(tmp_path, rows=[{"prompt": "a"}], later=[LATER[kind]], kind=kind)


def test_a_node_without_a_sandbox_fails_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sandbox.trouble():
        pytest.skip(sandbox.trouble())
    rows = [{"prompt": "a", **CASES["code"][0]}]
    reward, _ = prepare(tmp_path, rows=rows, later=[LATER["code"]], kind="code")

    def refused(*arguments: Any, **more: Any) -> bool:
        raise SandboxError("a program cannot be isolated here: unshare: not permitted")

    monkeypatch.setattr(sandbox, "run", refused)
    with pytest.raises(ScorerError, match="cannot be isolated here"):
        reward.score(said([["x"]]))
