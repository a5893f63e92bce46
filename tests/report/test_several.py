"""The report of a run with several aligned models, whose scores are made up."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ama_ray.report.html.items import items_of
from ama_ray.report.html.page import page
from ama_ray.report.html.render import write_html
from ama_ray.report.run_comparison import RunComparison
from ama_ray.report.text.front_table import front_table
from ama_ray.report.text.point import point_table
from ama_ray.report.text.summary import sentence
from ama_ray.report.write import write_report
from ama_ray.scores.trial import Trial
from ama_ray.space.groups import Groups
from tests.support.item_texts import with_items
from tests.support.runs import in_folder, run_of, write_run
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from ama_ray.api import Run
    from ama_ray.scores.trial import Origin

MODELS = ("chat", "math", "code")
GROUPS = Groups(tuple(f"{group}@{model}" for group in ("in", "out") for model in MODELS), {}, {}, models=MODELS)
POINTS: list[tuple[dict[str, float], Origin, tuple[float, float]]] = [
    (GROUPS.everywhere((0.0, 0.0, 0.0)), "baseline", (0.0, 0.0)),
    (GROUPS.everywhere((1.0, 0.0, 0.0)), "baseline", (3.0, 0.4)),
    (GROUPS.everywhere((0.0, 1.0, 0.0)), "baseline", (4.0, 0.5)),
    (GROUPS.everywhere((0.0, 0.0, 1.0)), "baseline", (2.0, 0.3)),
    (GROUPS.everywhere((0.5 / 3,) * 3), "baseline", (1.0, 0.1)),
    (GROUPS.everywhere((1 / 3,) * 3), "baseline", (2.9, 0.25)),
    (GROUPS.everywhere((0.0, 0.5, 0.0)), "baseline", (1.9, 0.2)),
    (GROUPS.everywhere((0.5, 0.5, 0.0)), "baseline", (3.4, 0.26)),
    (dict(zip(GROUPS.names, (0.1, 0.7, 0.1, 0.5, 0.2, 0.0), strict=True)), "sampler", (3.8, 0.2)),
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    trials = [
        Trial(number, "complete", origin, ratios, scores(value, (0.01, 0.001)), scores(value, (0.01, 0.001)))
        for number, (ratios, origin, value) in enumerate(POINTS)
    ]
    made = run_of(trials, tmp_path / "run", aligned=[f"org/{model}" for model in MODELS])
    write_run(made)
    return made


def test_what_points_are_called(run: Run) -> None:
    assert [trial.title for trial in run.trials] == [
        *("base", "chat", "math", "code", "uniform 0.5", "uniform 1", "math 0.5", "soup chat+math", ""),
    ]
    pareto = run.pareto
    assert (pareto.base.number, pareto.aligned.number) == (0, 2)
    assert [trial.number for trial in pareto.uniform] == [0, 4, 5]
    assert {trial.number for trial in pareto.uniform_front} == {0, 4, 6, 5, 7, 2}
    assert pareto.pick("knee").number == 8


def test_everything_that_is_written_is_there(run: Run) -> None:
    write_report(run, {})
    for name in ("mixture.png", "mixture.svg", "front.png", "report.html"):
        assert (run.folder / name).stat().st_size > 1000
    svg = (run.folder / "mixture.svg").read_text()
    assert all(word in svg for word in (*MODELS, "knee, trial 8"))
    front = (run.folder / "front.svg").read_text()
    assert all(f">{word}<" in front for word in (*MODELS, "soup chat+math", "equal average (1)", "base (0)"))
    assert ">math 0.5<" not in front  # drawn without a name
    assert front.count("from base to the best model alone") == 1
    found = json.loads((run.folder / "summary.json").read_text())
    assert found["hypervolume"] > found["uniform_hypervolume"]
    assert not (run.folder / "importance.png").exists()


def test_the_page_names_models_and_soups(run: Run) -> None:
    shown = page(run, [])
    assert shown.models == [*MODELS]
    assert [point.name for point in shown.points if point.baseline] == [trial.title for trial in run.pareto.baseline]
    assert (shown.points[7].name, shown.points[7].uniform) == ("soup chat+math", None)
    assert (shown.points[5].name, shown.points[5].uniform, shown.named["aligned"]) == ("uniform 1", 1.0, 2)
    text = write_html(run).read_text(encoding="utf-8")
    assert "share of one of chat, math, code in a group" in text
    assert "of the baseline, math 0.5, at no more tax" in text
    assert "plain model averaging" not in text


def test_the_page_of_items_calls_the_best_model_aligned_and_not_the_average(run: Run) -> None:
    whole = with_items(run, run.folder)
    found = items_of(whole)
    assert found
    names = {point["number"]: point["name"] for point in found["points"]}
    assert names == {0: "base", 1: "chat", 2: "aligned (math)", 3: "code", **LATER}


def test_runs_with_several_models_are_compared(run: Run, tmp_path: Path) -> None:
    other = write_run(in_folder(run.with_trials(run.trials[:-1]), tmp_path / "other"))
    comparison = RunComparison.open([run.folder, other])
    (first, second) = comparison.fields()["runs"].values()
    assert first["uniform_hypervolume"] == pytest.approx(second["uniform_hypervolume"])
    assert first["hypervolume"] > first["uniform_hypervolume"]
    assert first["knee"]["number"] == 8
    comparison.plot(tmp_path / "both.svg")
    assert "uniform averaging, models alone, soups" in re.sub(r"\s+", " ", (tmp_path / "both.svg").read_text())


LATER = {4: "uniform 0.5", 5: "uniform 1", 6: "math 0.5", 7: "soup chat+math", 8: ""}


def drawn(table: Table) -> str:
    out = StringIO()
    Console(file=out, width=120, color_system=None).print(table)
    return out.getvalue()


def test_what_is_told(run: Run) -> None:
    table = drawn(front_table(run))
    assert all(name in table for name in ("math 0.5", "knee", "aligned", "base"))
    words = " ".join(table.split())
    assert "aligned: math, the model with the highest reward alone." in words
    assert "one bar per group and model" in words
    assert "of the points of the baseline, the highest reward at no more tax" in words
    point = drawn(point_table(run.pareto, run.pareto.aligned))
    assert "ratio of in@math" in point
    assert "what is left of 1 is base" in " ".join(point.split())
    assert "the best point of the baseline at no more tax (math 0.5) keeps" in sentence(run)
