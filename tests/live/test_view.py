"""The live view: what it shows of a search, from made-up events."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from ama_ray.live.scatter import scatter
from ama_ray.live.time_left import TimeLeft
from ama_ray.live.view import LiveView
from ama_ray.live.watched import Watched
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.trial import Trial
from ama_ray.tuning.events import (
    Message,
    RunOpened,
    StageStarted,
    StopRequested,
    TrialFinished,
    TrialStarted,
    trial_line,
)
from tests.support.runs import config_of, run_of
from tests.support.trials import five_trials

CONFIG = config_of(trials=10)
SECONDS = {"swap": 1.0, "generate": 7.0, "score": 2.0}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def finished(trials: list[Trial]) -> TrialFinished:
    last = trials[-1]
    so_far = ParetoSet(trials) if last.split == "search" else None
    line = trial_line(last, CONFIG.trials, so_far.hypervolume if so_far else float("nan"))
    return TrialFinished(last, line, so_far, 2, 1, SECONDS)


def console(width: int = 110) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=40, record=True, legacy_windows=False)


def drawn(view: LiveView, width: int = 110) -> str:
    plain = Console(file=io.StringIO(), width=width, height=40, color_system=None)
    plain.print(view.render())
    file = plain.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def view(clock: Clock) -> LiveView:
    return LiveView(console(), Watched(clock))


def run_all(view: LiveView, clock: Clock) -> list[Trial]:
    view.hear(RunOpened(CONFIG, run_of([], trials=10)))
    trials: list[Trial] = []
    for trial in five_trials():
        view.hear(TrialStarted(trial.number, "search"))
        clock.now += 20
        trials.append(trial)
        view.hear(finished(trials))
    return trials


def test_steps_before_the_first_trial_show_for_how_long_they_last(view: LiveView, clock: Clock) -> None:
    view.hear(StageStarted("starting Ray"))
    clock.now += 65
    assert "starting Ray, 1 min 05 s" in drawn(view)
    view.hear(RunOpened(CONFIG, run_of([], trials=10)))
    out = drawn(view)
    assert "0 of 10 trials" in out
    assert "time left: not known yet" in out


def test_a_search_shows_its_trials_front_volumes_time_and_engines(view: LiveView, clock: Clock) -> None:
    view.hear(StageStarted("starting engines"))
    trials = run_all(view, clock)
    view.hear(TrialStarted(5, "search"))
    view.hear(TrialStarted(6, "search"))
    out = drawn(view)
    assert "starting engines" not in out
    assert "5 of 10 trials" in out
    assert "2 running, 5 complete, 0 stopped early, 0 failed" in out
    pareto = ParetoSet(trials)
    assert f"hypervolume {pareto.hypervolume:.3f}; 2 engines" in out
    assert "2 engines on 1 node; swap 10%, generate 70%, score 20%" in out
    assert "3.500 ± 0.100" in out
    assert "●" in out
    # Every 20 s one ends: 5 of the search, then 12 and 2 to 10 more of the report: 23 * 20 ± 4 * 20 s.
    assert "about 7 min 40 s ± 1 min 20 s left" in out
    assert trial_line(trials[-1], 10, pareto.hypervolume) in out


def test_stopped_failed_and_reported_trials_are_counted(view: LiveView, clock: Clock) -> None:
    trials = run_all(view, clock)
    stopped = replace(trials[-1], number=5, state="stopped", share=0.5)
    view.hear(finished([*trials, stopped]))
    failed = Trial(6, "failed", "sampler", trials[-1].ratios, reason="no memory")
    view.hear(finished([*trials, stopped, failed]))
    view.hear(finished([replace(trials[0], report=trials[0].search).seen_on("report")]))
    out = drawn(view)
    assert "5 complete, 1 stopped early, 1 failed; 1 scored on the report split" in out
    assert "7 of 10 trials" in out
    assert "3.500 ± 0.100" in out  # the front of the search stays


def test_what_is_said_and_what_fails_stays_above_the_view(clock: Clock) -> None:
    terminal = console()
    with LiveView(terminal, Watched(clock)) as view:
        trials = run_all(view, clock)
        view.hear(Message("warning: [odd] pair"))
        view.hear(finished([*trials, Trial(5, "failed", "sampler", trials[-1].ratios, reason="no memory")]))
    written = terminal.export_text()
    assert "warning: [odd] pair" in written
    assert "trial 5 of 10 failed: no memory" in written
    file = terminal.file
    assert isinstance(file, io.StringIO)
    # The cursor is never left hidden, however the process ends.
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l")


def test_a_narrow_terminal_has_no_scatter_and_a_signal_is_answered(clock: Clock) -> None:
    view = LiveView(console(80), Watched(clock))
    run_all(view, clock)
    view.hear(StopRequested())
    out = drawn(view, 80)
    assert "●" not in out
    assert "Ctrl+C again stops now" in out


def test_a_run_that_is_gone_on_with_starts_from_what_it_has(view: LiveView) -> None:
    view.hear(RunOpened(CONFIG, run_of(five_trials(), trials=10)))
    out = drawn(view)
    assert "5 of 10 trials" in out
    assert "3.500 ± 0.100" in out


def test_time_left_is_the_mean_gap_and_widens_with_what_is_not_known() -> None:
    left = TimeLeft()
    for now in (0.0, 10.0, 20.0):
        left.ended(now)
    assert left(5, 5, 20.0) is None
    left.ended(30.0)
    assert left(5, 5, 30.0) == (50.0, 0.0)
    assert left(4, 6, 33.0) == (47.0, 10.0)
    assert left(0, 0, 300.0) == (0.0, 0.0)
    left.ended(60.0)
    seconds, error = left(4, 4, 60.0) or (0.0, 0.0)
    # Gaps 10, 10, 10, 30: mean 15, variance 100.
    assert seconds == 60.0
    assert error == pytest.approx(1.96 * (100 * (4 + 16 / 4)) ** 0.5)


def test_a_scatter_has_its_ends_in_its_corners() -> None:
    lines = scatter(ParetoSet(five_trials()), width=20, height=5).plain.splitlines()
    assert lines[1] == "4.00 │  ●                ●"
    assert lines[-1].split() == ["0.000", "tax", "0.400"]
    assert lines[5].startswith("0.00 │●")
    assert scatter(ParetoSet([])).plain == ""
