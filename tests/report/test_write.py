from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from ama_ray.report.write import write_report
from ama_ray.storage.records import read_trials
from tests.support.runs import in_folder

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun


def test_front_csv_has_both_splits(reported: StoredRun, report_folder: Path) -> None:
    frame = pd.read_csv(report_folder / "front.csv")
    assert frame["number"].tolist() == [trial.number for trial in reported.pareto.front]
    assert frame["report.reward"].tolist() == pytest.approx([trial.reward for trial in reported.pareto.front])
    assert frame["report.tax_se"].tolist() == pytest.approx([trial.tax_se for trial in reported.pareto.front])
    assert frame["reward"].tolist() == pytest.approx([t.seen_on("search").reward for t in reported.pareto.front])
    assert [trial.seen_on("report") for trial in read_trials(report_folder / "front.csv")] == list(
        reported.pareto.front
    )
    assert (report_folder / "front.png").is_file()


def test_the_summary_has_the_hypervolumes_of_both_splits(reported: StoredRun, report_folder: Path) -> None:
    summary = json.loads((report_folder / "summary.json").read_text())
    assert summary["split"] == "report"
    assert summary["hypervolume"] == reported.pareto.hypervolume
    assert summary["uniform_hypervolume"] == reported.pareto.uniform_hypervolume
    assert summary["search_hypervolume"] == reported.searched_pareto.hypervolume != reported.pareto.hypervolume
    assert summary["optimism"] == reported.optimism.value
    assert (summary["trials"], summary["failed"], summary["stopped"]) == (61, 1, 0)


def test_what_is_not_known_is_null_and_test_data_comes_first(test_data_run: StoredRun, tmp_path: Path) -> None:
    write_report(in_folder(test_data_run, tmp_path), {})
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert next(iter(summary)) == "warning"
    assert summary["split"] == "search"
    assert summary["optimism"] is None


@pytest.mark.long
def test_the_summary_has_what_the_run_asked_for(bounded: StoredRun, unsatisfied: StoredRun, tmp_path: Path) -> None:
    write_report(in_folder(bounded, tmp_path), {})
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["constraints"] == {"tax": "<= 0.1"}
    assert summary["left_out"] == len(bounded.pareto.left_out)
    assert summary["reference"] == {"reward": 1.5, "tax": 0.09}
    (tmp_path / "none").mkdir()
    write_report(in_folder(unsatisfied, tmp_path / "none"), {})
    assert json.loads((tmp_path / "none" / "summary.json").read_text())["hypervolume"] == 0
