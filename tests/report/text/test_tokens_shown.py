"""Tokens per reply and replies that were cut off in thinking, where a run is told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from ama_ray.report.json_fields import trial_fields
from ama_ray.report.plots.front import plot_front
from ama_ray.report.text.front_table import front_table
from ama_ray.report.text.point import point_table
from ama_ray.report.text.summary import sentence
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import TokensTerm
from ama_ray.scores.trial import ProbeResult, Replies
from tests.support.runs import OBJECTIVES, run_of, write_run
from tests.support.trials import scores, trial

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

COUNTED = Objectives(OBJECTIVES.rewards, OBJECTIVES.probes, TokensTerm("arc", is_objective=True))


def made(number: int, ratio: float | None, values: tuple[float, float, float], cut_off: float = 0.0) -> Trial:
    reward, tokens, tax = values
    found = scores((reward, tokens, tax), (0.1, 5.0, 0.01), ("reward", "tokens", "tax"))
    probes = {"arc": ProbeResult(0.5, 0.02, tax, 0.01)}
    replies = {"arc": Replies(tokens, 5.0, cut_off)}
    return replace(trial(number, 0, 0, ratio), search=replace(found, probes=probes, replies=replies))


def run(folder: Path | None = None) -> StoredRun:
    trials = [
        made(0, 0.0, (0.0, 200.0, 0.0)),
        made(1, 1.0, (4.0, 1000.0, 0.4), 0.12),
        made(2, 0.5, (2.0, 600.0, 0.3), 0.2),
        made(4, None, (3.5, 300.0, 0.05)),
    ]
    where = () if folder is None else (folder,)
    return run_of(trials, *where, objectives=COUNTED, tokens={"of": "arc", "objective": True})


def shown(table: Table) -> str:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(table)
    return " ".join(console.export_text().split())


def test_the_table_has_them_and_how_many_were_cut_off() -> None:
    told = shown(front_table(run()))
    assert "tokens ↓" in told
    assert "tokens: mean per reply of arc." in told
    assert "Cut off in thinking, and so without an answer: arc base 0%, aligned 12%, at most 20%." in told
    assert "Cut off" not in shown(front_table(run_of([trial(0, 0, 0, 0.0), trial(1, 1, 1, 1.0)])))


def test_the_sentence_has_those_of_the_knee() -> None:
    told = sentence(run())
    assert "with 300 ± 5 tokens per reply (base 200 ± 5, aligned 1000 ± 5)" in told
    assert "arc base 0%, aligned 12%, at most 20%" in told


def test_a_point_has_its_own() -> None:
    pareto = run().pareto
    told = shown(point_table(pareto, pareto.aligned))
    assert "tokens per reply of arc 1000.0 ± 5.0" in told
    assert "cut off in thinking, of arc 12%" in told
    assert json.loads(json.dumps(trial_fields(pareto.aligned)))["replies"]["arc"]["cut_off"] == 0.12


def test_they_are_drawn_and_survive_the_folder(tmp_path: Path) -> None:
    picture = tmp_path / "front.png"
    plot_front(run(), picture)
    assert picture.stat().st_size > 1000
    again = type(run()).open(write_run(run(tmp_path / "run")))
    assert again.objectives == COUNTED
    assert again.pareto.front == run().pareto.front
    assert again.pareto.pick(max_tokens=400).number == 4
