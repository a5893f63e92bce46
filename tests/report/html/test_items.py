"""What the page of items holds, from the files of a run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.report.html import items as module
from ama_ray.report.html.items import items_of
from ama_ray.report.html.render import write_html
from tests.support.item_texts import PROBES, with_items
from tests.support.runs import in_folder

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun


def test_every_point_has_its_scores_and_answers(reported: StoredRun, tmp_path: Path) -> None:
    page = items_of(with_items(reported, tmp_path))
    assert page
    assert [source["name"] for source in page["sources"]] == ["reward", *PROBES]
    arc = page["sources"][1]
    assert (arc["prompts"][2], arc["golds"][2]) == ("arc 2?", "gold 2")
    scored = [trial.number for trial in reported.trials if trial.report]
    assert [point["number"] for point in page["points"]] == scored
    base, other = page["points"][0], page["points"][1]
    assert (base["name"], base["scores"][1], other["scores"][1]) == ("base", [1.0] * 6, [0.0] * 6)
    assert [page["pool"][place] for place in other["said"][1]] == [str(other["number"]), *["same"] * 5]
    assert sum(point["knee"] for point in page["points"]) == 1
    assert page["lower"] == [False, True]


def test_very_many_items_leave_points_out_but_not_those_that_count(
    reported: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ALL_ANSWERS", 30 * 5)
    page = items_of(with_items(reported, tmp_path))
    assert page
    assert len(page["points"]) == 5
    assert [point["name"] for point in page["points"] if point["name"]] == ["base", "aligned"]
    assert any(point["knee"] for point in page["points"])


def test_long_texts_are_cut(reported: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ALL_TEXTS", 700)
    page = items_of(with_items(reported, tmp_path))
    assert page
    assert all(len(text) <= 11 for source in page["sources"] for text in source["prompts"])
    assert page["sources"][0]["prompts"][0].endswith(" […]")


def test_there_is_no_page_before_the_report_or_without_texts(
    run: StoredRun, reported: StoredRun, tmp_path: Path
) -> None:
    assert items_of(in_folder(run, tmp_path)) is None
    assert items_of(in_folder(reported, tmp_path)) is None
    page = write_html(in_folder(reported, tmp_path)).read_text()
    assert "items.html" not in page
    assert not (tmp_path / "items.html").exists()


@pytest.mark.parametrize("content", ["nonsense", '{"name": "arc"}\n', '{"name": "arc", "items": 3}\n', "[]\n"])
def test_damaged_texts_are_told_and_leave_the_report_as_it_is(
    reported: StoredRun, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    run = with_items(reported, tmp_path)
    (tmp_path / "texts" / "items.jsonl").write_text(content)
    write_html(run)
    assert "not a readable file of texts" in caplog.text
    assert not (tmp_path / "items.html").exists()


def test_the_page_is_beside_the_report_which_links_it(reported: StoredRun, tmp_path: Path) -> None:
    run = with_items(reported, tmp_path)
    assert '<a href="items.html">' in write_html(run).read_text()
    text = (tmp_path / "items.html").read_text()
    assert "default-src 'none'" in text
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    assert data == items_of(run)
