"""The deep check beside the first trials: what is told, when plain vLLM starts, and what ends a search."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from ama_ray.engine.deep_check import Checked
from ama_ray.engine.verdict import Verdict
from ama_ray.errors import UserError
from ama_ray.tuning import checking
from ama_ray.tuning.checking import CheckBeside

SOUND = Verdict(40, 32, 32, 0.0)
AGREES = Verdict(0, 16, 16, 0.0)
ANSWERS = [[(1, -0.5)]]


@dataclass
class Under:
    """In the place of a reference of Ray: there once it has a value, which may be an error."""

    value: Any = None
    is_there: bool = False

    def set(self, value: Any = None) -> None:
        self.value, self.is_there = value, True


@dataclass
class Plain:
    """In the place of `PlainVllm`."""

    verdict: Verdict = AGREES
    known: Verdict | None = None
    asked: list[Any] = field(default_factory=list)
    is_closed: bool = False

    def check(self, swapped: Any) -> Verdict:
        self.asked.append(swapped)
        return self.verdict

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Under) -> Any:
        assert reference.is_there
        if isinstance(reference.value, Exception):
            raise reference.value
        return reference.value

    def wait(references: list[Under], timeout: float) -> tuple[list[Under], list[Under]]:
        return [each for each in references if each.is_there], []

    monkeypatch.setattr(checking, "ray", SimpleNamespace(get=get, wait=wait, exceptions=ray.exceptions))


def beside(plain: Plain | None) -> tuple[CheckBeside, list[Under], list[str]]:
    steps, lines = [Under(), Under()], list[str]()
    check = CheckBeside(
        [(steps[0], "it does not start"), (steps[1], "the check failed")],
        plain,  # type: ignore[arg-type]
        lambda verdict: UserError(f"refused: {verdict.trouble}"),
        lines.append,
    )
    return check, steps, lines


def engine_is_sound(steps: list[Under]) -> None:
    steps[0].set()
    steps[1].set(Checked(SOUND, ANSWERS))


def wait_until_known(check: CheckBeside, lines: list[str], count: int) -> bool:
    until = time.monotonic() + 10
    while not check.has_failed() and len(lines) < count:
        assert time.monotonic() < until
    return check.has_failed()


def test_plain_vllm_starts_once_a_trial_has_been_scored() -> None:
    plain = Plain()
    check, steps, lines = beside(plain)
    assert not check.has_failed()
    check.go_on()
    assert not lines
    engine_is_sound(steps)
    assert not check.has_failed()
    assert lines == [f"deep check passed: {SOUND}"]
    assert not plain.asked
    check.go_on()
    check.go_on()
    assert not wait_until_known(check, lines, 2)
    assert lines[1:] == [f"plain vLLM agrees: {AGREES}"]
    assert plain.asked == [ANSWERS]
    check.wait()
    assert len(lines) == 2
    check.close()
    assert plain.is_closed


def test_who_waits_gets_both() -> None:
    plain = Plain()
    check, steps, lines = beside(plain)
    engine_is_sound(steps)
    check.wait()
    assert [line.partition(":")[0] for line in lines] == ["deep check passed", "plain vLLM agrees"]


@pytest.mark.parametrize("plain", [None, Plain(known=AGREES)])
def test_where_plain_vllm_is_not_due_it_does_not_start(plain: Plain | None) -> None:
    check, steps, lines = beside(plain)
    engine_is_sound(steps)
    check.go_on()
    check.wait()
    assert len(lines) == 1
    assert not plain or not plain.asked


def test_a_swap_that_is_not_sound_ends_the_search() -> None:
    plain = Plain()
    check, steps, lines = beside(plain)
    steps[0].set()
    steps[1].set(Checked(Verdict.refused("a tensor is stale")))
    assert check.has_failed()
    check.go_on()
    for wait in (check.wait_for_engine, check.wait):
        with pytest.raises(UserError, match="refused: a tensor is stale"):
            wait()
    assert not lines
    assert not plain.asked


def test_the_first_step_that_failed_is_told() -> None:
    check, steps, _ = beside(None)
    steps[0].set(ray.exceptions.RayActorError())
    steps[1].set(ray.exceptions.RayActorError())
    assert check.has_failed()
    with pytest.raises(UserError, match="it does not start: "):
        check.wait()


def test_plain_vllm_that_answers_otherwise_ends_the_search() -> None:
    plain = Plain(verdict=AGREES.with_trouble("it does not answer as plain vLLM"))
    check, steps, lines = beside(plain)
    engine_is_sound(steps)
    check.go_on()
    assert wait_until_known(check, lines, 2)
    assert len(lines) == 1
    with pytest.raises(UserError, match="refused: it does not answer as plain vLLM"):
        check.wait()


def test_one_that_is_done_says_nothing() -> None:
    check = CheckBeside.done()
    assert not check.has_failed()
    check.go_on()
    check.wait()
    check.close()
