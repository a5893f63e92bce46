"""The pictures of families and of groups: written where there is something to show, for papers too."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.analysis.importance import Importance
from ama_ray.report.plots.families import plot_families
from ama_ray.report.plots.importance import plot_importance
from ama_ray.scores.interval import Interval
from ama_ray.scores.terms import ProbeTerm
from ama_ray.scores.trial import Scores
from tests.support.pictures import UNUSUAL, size, unusual
from tests.support.runs import run_of

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun

pytestmark = pytest.mark.long  # a picture takes a third of a second; the unit tests draw each once, in a report


def test_a_run_gets_both_as_png_and_svg(report_folder: Path) -> None:
    assert size(report_folder / "families.png") == (1200, 690)
    assert size(report_folder / "importance.png") == (1200, round(150 * (1.9 + 0.19 * 8)))
    families, groups = (
        (report_folder / f"{name}.svg").read_text(encoding="utf-8") for name in ("families", "importance")
    )
    assert all(f">{name}</text>" in families for name in ("arc", "squad", "drop", "fr-en", "knee"))
    assert all(f">layers.{i}</text>" in groups for i in range(8))
    assert "change of tax, lower is better" in groups


@pytest.mark.parametrize("case", UNUSUAL)
@pytest.mark.filterwarnings("error")
def test_unusual_runs(run: StoredRun, case: str, tmp_path: Path) -> None:
    odd = unusual(run, case, tmp_path)
    plot_families(odd, tmp_path / "families.png")
    assert (tmp_path / "families.png").exists() == bool(odd.pareto.front)
    effects = odd.importance()
    assert bool(effects) == (case not in ("empty", "one"))
    if effects:
        plot_importance(effects, list(odd.trials[0].ratios), tmp_path / "importance.png")
        assert size(tmp_path / "importance.png")[1] == round(150 * (1.9 + 0.19 * 8))


@pytest.mark.filterwarnings("error")
def test_several_rewards_have_a_panel_each(several: StoredRun, tmp_path: Path) -> None:
    plot_families(several, tmp_path / "families.png")
    plot_importance(several.importance(), [*several.trials[0].ratios], tmp_path / "importance.png")
    assert size(tmp_path / "families.png") == (1200, 690)
    assert size(tmp_path / "importance.png")[0] == round(150 * (1.2 + 3.4 * len(several.pareto.objectives)))


@pytest.mark.filterwarnings("error")
def test_as_many_groups_as_there_are_keep_to_a_page(tmp_path: Path) -> None:
    effects = [Importance("tax", 300, 0.5, tuple(Interval(i / 300, i / 300 - 0.2, i / 300 + 0.2) for i in range(300)))]
    plot_importance(
        effects, [f"layer-{i}" for i in range(300)], tmp_path / "importance.svg", tmp_path / "importance.png"
    )
    assert size(tmp_path / "importance.png")[1] == round(150 * (1.9 + 0.19 * 120))
    text = (tmp_path / "importance.svg").read_text(encoding="utf-8")
    assert ">layer-3</text>" in text
    assert ">layer-4</text>" not in text


@pytest.mark.filterwarnings("error")
def test_a_family_without_scores_of_all_its_probes_is_left_out(reported: StoredRun, tmp_path: Path) -> None:
    families = {
        "arc": "reasoning",
        "squad": "reading",
        "drop": "reading",
        "fr-en": "translation",
        "de-en": "translation",
    }
    probes = tuple(ProbeTerm(name, family, "mean") for name, family in families.items())
    run = run_of(reported.trials, objectives=replace(reported.objectives, probes=probes))
    plot_families(run, tmp_path / "families.svg")
    drawn = (tmp_path / "families.svg").read_text(encoding="utf-8")
    assert all(f">{family}</text>" in drawn for family in ("reasoning", "reading"))
    assert ">translation</text>" not in drawn


@pytest.mark.filterwarnings("error")
def test_without_probes_there_is_no_picture(run: StoredRun, tmp_path: Path) -> None:
    bare = [replace(t, search=Scores(t.search.objectives)) if t.search else t for t in run.trials]
    plot_families(run.with_trials(bare), tmp_path / "families.png")
    assert not (tmp_path / "families.png").exists()


def test_pyplot_is_left_alone() -> None:
    code = (
        "import sys; import ama_ray.report.plots.families, ama_ray.report.plots.importance\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
