"""A run in a notebook, and item by item."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.api import Run
from ama_ray.errors import UserError
from ama_ray.scores.trial import Trial
from ama_ray.storage.item_store import ItemStore
from tests.support.item_texts import with_items
from tests.support.runs import run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from pathlib import Path


def test_a_notebook_shows_table_sentence_and_picture() -> None:
    page = run_of(five_trials())._repr_html_()
    assert "3.50 ± 0.10" in page
    assert "The knee (trial 4) keeps" in page
    assert 'src="data:image/png;base64,iVBORw0KGgo' in page


def test_a_notebook_says_why_there_is_no_front() -> None:
    assert run_of([])._repr_html_() == "<p>No trial is complete.</p>"


def test_a_dataset_has_a_row_for_every_item(tmp_path: Path) -> None:
    store = ItemStore(write_run(run_of(five_trials(), tmp_path)) / "items")
    for trial in five_trials():
        prompts = np.array([[trial.number + item] for item in range(3)], np.float64)
        replies = np.ones((3, 2), np.float64)
        arc = np.array([[1.0], [0.0]])
        store.write("search", trial.number, {"reward": prompts, "replies.reward": replies, "arc": arc})
    rows = Run.open(tmp_path).to_dataset()
    assert rows.num_rows == 5 * (3 + 2)
    of_knee = [row for row in rows if row["point"] == 4]
    assert [row["score"] for row in of_knee] == [4.0, 5.0, 6.0, 1.0, 0.0]
    assert [row["item"] for row in of_knee] == [0, 1, 2, 0, 1]
    texts = {"prompt": None, "gold": None, "answer": None}
    assert of_knee[3] == {"point": 4, "split": "search", "source": "arc", "item": 0, "score": 1.0} | texts
    assert Run.open(tmp_path).to_dataset([4])[:] == rows.filter(lambda row: row["point"] == 4)[:]
    assert Run.open(tmp_path).to_dataset([]).features == rows.features


def test_a_dataset_has_what_was_asked_and_answered(tmp_path: Path) -> None:
    scored = [replace(trial, report=trial.search) for trial in five_trials()]
    run = with_items(run_of(scored), write_run(run_of(scored, tmp_path)))
    for trial in scored:
        run.items.write("search", trial.number, run.items.read("report", trial.number))
    rows = Run.open(tmp_path).to_dataset(Run.open(tmp_path).front).to_pandas()
    assert list(rows) == ["point", "split", "source", "item", "prompt", "gold", "answer", "score"]
    report = rows[rows["split"] == "report"].set_index(["source", "point", "item"])
    assert report.loc["arc", 4, 0].to_list() == ["report", "arc 0?", "gold 0", "4", 0.0]
    assert report.loc["arc", 0, 0].to_list() == ["report", "arc 0?", "gold 0", "0", 1.0]
    assert report.loc["arc", 4, 3].to_list() == ["report", "arc 3?", "gold 3", "same", 0.0]
    assert (report.loc["arc"].groupby("point")["score"].mean() == [1.0, 0.0, 0.0, 0.0, 0.0]).all()
    assert rows[rows["split"] == "search"][["prompt", "gold", "answer"]].isna().all(axis=None)
    assert set(rows["point"]) == {point.number for point in Run.open(tmp_path).front} == {0, 1, 2, 3, 4}
    assert set(Run.open(tmp_path).to_dataset(["base", 3])["point"]) == {0, 3}


def test_a_run_that_was_moved_has_its_items_where_it_is(tmp_path: Path) -> None:
    moved = write_run(run_of(five_trials(), tmp_path / "before")).rename(tmp_path / "moved")
    run = Run.open(moved)
    assert run.config.out == run.folder == moved
    with pytest.raises(UserError, match=f"{moved}.*no such file"):
        run.to_dataset()


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    failed = Trial(7, "failed", "sampler", {"a": 0.1, "b": 0.2}, reason="out of memory")
    run = run_of([*five_trials(), failed])
    with pytest.raises(UserError, match="no trial 9; the front has trials 0, 3, 4, 1"):
        run.export(9, tmp_path / "out")
    for point in (7, failed):
        with pytest.raises(UserError, match=r"Trial 7 failed \(out of memory\)"):
            run.export(point, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_has_its_points_by_name_and_by_wish() -> None:
    run = run_of(five_trials())
    assert [run.point(name).number for name in ("knee", "base", "aligned", "uniform-0.5", 3)] == [4, 0, 1, 2, 3]
    assert run.pick() == run.pick("knee") == run.pareto.pick("knee")
    assert run.pick(max_tax=0.02).number == 3
    assert run.pick(min_reward=3.9).number == 1
    assert run.pick(near={"reward": 1.4, "tax": 0.0}).number == 3
    with pytest.raises(UserError, match="no trial 9; the front has trials 0, 3, 4, 1"):
        run.point(9)


def test_a_run_has_the_points_of_its_front_and_a_figure() -> None:
    run = run_of(five_trials())
    assert [point.number for point in run.front] == [0, 3, 4, 1]
    assert run.front[0] is run.pareto.front[0]
    axes = run.plot().axes[0]
    assert axes.get_ylabel().startswith("reward")
    assert axes.get_title().startswith("Hypervolume")
