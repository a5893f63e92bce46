"""A Pareto set in a notebook, and item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ama_ray.errors import UserError
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.storage.records import ItemStore
from tests.cli.conftest import made_up, make_run

if TYPE_CHECKING:
    from tests.cli.conftest import MakeRun

__all__ = ["make_run"]


def test_a_notebook_shows_table_sentence_and_picture() -> None:
    page = ParetoSet(made_up())._repr_html_()
    assert "3.50 ± 0.10" in page
    assert "The knee (trial 4) keeps" in page
    assert 'src="data:image/png;base64,iVBORw0KGgo' in page


def test_a_notebook_says_why_there_is_no_front() -> None:
    assert ParetoSet([])._repr_html_() == "<p>No trial is complete.</p>"


def test_a_dataset_has_a_row_for_every_item(make_run: MakeRun) -> None:
    folder = make_run()
    store = ItemStore(folder / "items")
    for trial in made_up():
        prompts = np.array([[trial.number + item] for item in range(3)], np.float64)
        store.write("search", trial.number, {"reward": prompts, "arc": np.ones((2, 2), np.float64)})
    rows = ParetoSet.open(folder).to_dataset()
    assert rows.num_rows == 5 * (3 + 2)
    of_knee = [row for row in rows if row["trial"] == 4]
    assert [row["values"] for row in of_knee] == [[4.0], [5.0], [6.0], [1.0, 1.0], [1.0, 1.0]]
    assert of_knee[3] == {"trial": 4, "split": "search", "name": "arc", "item": 0, "values": [1.0, 1.0]}


def test_a_run_that_was_moved_has_its_items_where_it_is(make_run: MakeRun) -> None:
    moved = make_run().rename(make_run("other") / "moved")
    pareto = ParetoSet.open(moved)
    assert pareto.config is not None
    assert pareto.config.out == moved
    with pytest.raises(UserError, match="no such file"):
        pareto.to_dataset()
    with pytest.raises(UserError, match="does not know its run"):
        ParetoSet(made_up()).to_dataset()
