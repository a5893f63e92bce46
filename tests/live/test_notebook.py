"""A search in a notebook: what its cell shows, with a stand-in for IPython's display."""

from __future__ import annotations

import re
import sys
from html import unescape
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import ama_ray
from ama_ray.live.notebook import NotebookView, in_notebook
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.trial import Trial
from ama_ray.tuning import search as tuning
from ama_ray.tuning.events import Message, RunOpened, StageStarted, StopRequested, TrialFinished, TrialStarted
from tests.support.runs import config_of, run_of
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = config_of(trials=10)


class Cell(ModuleType):
    """In the place of `IPython.display`: keeps what the one output of a cell has shown."""

    def __init__(self) -> None:
        super().__init__("IPython.display")
        self.shown: list[str] = []

    def display(self, thing: Any, *, display_id: bool) -> Cell:
        assert display_id
        self.update(thing)
        return self

    def update(self, thing: Any) -> None:
        self.shown.append(unescape(re.sub(r"<[^>]*>", "", thing._repr_html_())))


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    made = Cell()
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", made)
    return made


def play(hear: Callable[[Any], None]) -> None:
    hear(StageStarted("starting Ray"))
    hear(RunOpened(CONFIG, run_of([], trials=10)))
    hear(Message("warning: <b>few</b> items\x1b[2J"))
    trials = five_trials()
    for count, trial in enumerate(trials, start=1):
        hear(TrialStarted(trial.number, "search"))
        hear(TrialFinished(trial, f"line of {trial.number}", ParetoSet(trials[:count]), 2, 1, {"swap": 1.0}))
    failed = Trial(5, "failed", "sampler", trials[0].ratios, reason="no memory")
    hear(TrialFinished(failed, "trial 5 of 10 failed: no memory", None, 2, 1, {"swap": 1.0}))


def test_a_cell_shows_the_search_as_a_terminal_does_and_then_only_what_was_said(cell: Cell) -> None:
    with NotebookView() as view:
        assert "loading the program" in cell.shown[-1]
        play(view.hear)
        during, drawn = cell.shown[-1], len(cell.shown)
        view.hear(StopRequested())
        assert len(cell.shown) == drawn
    assert "5 complete, 0 stopped early, 1 failed" in during
    assert "6 of 10 trials" in during
    assert "3.500 ± 0.100" in during
    assert "starting Ray" in cell.shown[1]
    said = cell.shown[-1].split("\n")
    assert [line.strip() for line in said if line.strip()] == [
        "warning: <b>few</b> items\\x1b[2J",
        "trial 5 of 10 failed: no memory",
    ]


def test_search_draws_in_a_notebook_only_and_only_where_nobody_else_listens(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def search(run: Any, *, listen: Any, kind: Any, **rest: Any) -> Any:
        heard.append(listen)
        if listen:
            play(listen)
        return run_of([])

    monkeypatch.setattr(tuning, "search", search)
    assert not in_notebook()
    ama_ray.search("run.yaml")
    assert (heard, cell.shown) == ([None], [])
    monkeypatch.setattr("ama_ray.live.notebook.in_notebook", lambda: True)
    ama_ray.search("run.yaml", progress=print)
    assert (heard, cell.shown) == ([None, None], [])
    ama_ray.search("run.yaml")
    assert "trial 5 of 10 failed" in cell.shown[-1]
