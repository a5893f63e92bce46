from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from ama_ray.report import write_report
from ama_ray.storage.records import read_trials

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.pareto.pareto_set import ParetoSet


def test_front_csv_has_both_splits(reported: ParetoSet, tmp_path: Path) -> None:
    write_report(reported, tmp_path, {"wall": 3.0})
    frame = pd.read_csv(tmp_path / "front.csv")
    assert frame["number"].tolist() == [trial.number for trial in reported.front]
    assert frame["report.reward"].tolist() == pytest.approx([trial.reward for trial in reported.front])
    assert frame["report.tax_se"].tolist() == pytest.approx([trial.tax_se for trial in reported.front])
    assert frame["reward"].tolist() == pytest.approx([t.seen_on("search").reward for t in reported.front])
    assert [trial.seen_on("report") for trial in read_trials(tmp_path / "front.csv")] == list(reported.front)
    assert (tmp_path / "front.png").is_file()


def test_the_summary_has_the_hypervolumes_of_both_splits(reported: ParetoSet, tmp_path: Path) -> None:
    write_report(reported, tmp_path, {"wall": 3.0})
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["split"] == "report"
    assert summary["hypervolume"] == reported.hypervolume
    assert summary["uniform_hypervolume"] == reported.uniform_hypervolume
    assert summary["search_hypervolume"] == reported.search_split.hypervolume != reported.hypervolume
    assert summary["optimism"] == reported.optimism
    assert (summary["trials"], summary["failed"], summary["stopped"]) == (61, 1, 0)


def test_what_is_not_known_is_null_and_test_data_comes_first(test_data_run: ParetoSet, tmp_path: Path) -> None:
    write_report(test_data_run, tmp_path, {})
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert next(iter(summary)) == "warning"
    assert summary["split"] == "search"
    assert summary["optimism"] is None


def test_the_summary_has_what_the_run_asked_for(bounded: ParetoSet, unsatisfied: ParetoSet, tmp_path: Path) -> None:
    write_report(bounded, tmp_path, {})
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["constraints"] == {"tax": "<= 0.1"}
    assert summary["left_out"] == len(bounded.left_out)
    assert summary["reference"] == {"reward": 1.5, "tax": 0.09}
    (tmp_path / "none").mkdir()
    write_report(unsatisfied, tmp_path / "none", {})
    assert json.loads((tmp_path / "none" / "summary.json").read_text())["hypervolume"] == 0
