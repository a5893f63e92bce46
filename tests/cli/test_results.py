"""What is read from the folder of a run: pick, show, compare, export."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.runs import MakeRun


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ([], 4),
        (["--max-tax", "0.02"], 3),
        (["--min-reward", "2.5"], 4),
        (["--min-reward", "reward=3.9"], 1),
        (["--near", "reward=1.4,tax=0"], 3),
        (["--near", "reward=4"], 1),
        (["--near", "tax=0.39", "--min-reward", "1"], 1),
    ],
)
def test_pick_prints_the_point_that_was_asked_for(
    options: list[str], number: int, run: Command, make_run: MakeRun
) -> None:
    ended = run("pick", make_run(), *options, "--json")
    point = json.loads(ended.out)
    assert (ended.code, point["number"], point["split"]) == (0, number, "search")
    assert point["objectives"]["tax"]["se"] == 0.01
    assert set(point["ratios"]) == {"a", "b"}


def test_pick_prints_number_ratios_and_scores_with_errors(run: Command, make_run: MakeRun) -> None:
    out = run("pick", make_run()).out
    assert "Trial 4" in out
    assert "3.50 ± 0.10" in out
    assert "0.050 ± 0.010" in out
    assert "88%" in out  # of 4
    assert "ratio of b" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--near", "reward=high"], "--near reward=high: give NAME=NUMBER"),
        (["--near", "helpful=1"], "no objective 'helpful'"),
        (["--max-tax", "-1"], "No point has tax at most -1"),
    ],
)
def test_pick_says_what_it_cannot_find(options: list[str], words: str, run: Command, make_run: MakeRun) -> None:
    ended = run("pick", make_run(), *options)
    assert ended.code == 2
    assert words in ended.err


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("knie", "no point 'knie'"),
        ("17", "no trial 17; the front has trials 0, 3, 4, 1"),
        ("uniform-0.3", "those scored have 0, 0.5, 1"),
        ("uniform-half", "uniform-half: give a ratio"),
    ],
)
def test_export_names_the_points_that_there_are(point: str, words: str, run: Command, make_run: MakeRun) -> None:
    ended = run("export", make_run(), "--point", point, "-o", "merged")
    assert ended.code == 2
    assert words in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "m"], "give either --point, of a run, or with --from a merge.json"),
        (["RUN", "--point", "knee", "--from", "merge.json", "-o", "m"], "give either --point, of a run"),
        (["RUN", "--from", "merge.json", "-o", "m"], "the folder of a run goes with --point"),
        (["RUN", "-o", "m"], "give either --point, of a run"),
        (["--from", "merge.json", "--point", "knee", "-o", "m"], "give either --point, of a run"),
        (["RUN", "--point", "knee", "--base", "b", "-o", "m"], "--base and --aligned go with --from"),
        (["RUN", "--point", "knee", "--private", "-o", "m"], "--private goes with --push"),
        (["RUN", "--point", "knee", "--push", "a/b/c", "-o", "m"], "--push a/b/c: not a name on the hub"),
        (["--from", "nowhere.json", "-o", "m"], "nowhere.json: cannot be read"),
    ],
)
def test_export_is_from_a_run_or_from_a_merge_file(
    arguments: list[str], words: str, run: Command, make_run: MakeRun
) -> None:
    folder = make_run()
    ended = run("export", *(str(folder) if each == "RUN" else each for each in arguments))
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


def test_show_sorts_by_a_column_and_writes_what_it_shows(run: Command, make_run: MakeRun, tmp_path: Path) -> None:
    folder, file = make_run(), tmp_path / "front.csv"
    shown = run("show", folder, "--sort=-reward", "--csv", file)
    assert shown.code == 0
    with file.open() as rows:
        assert [row["number"] for row in csv.DictReader(rows)] == ["1", "4", "3", "0"]
    lines = [line.split()[0] for line in shown.out.splitlines() if line.strip()[:1].isdigit()]
    assert lines[:4] == ["1", "4", "3", "0"]
    assert run("show", folder, "--sort", "reward", "--csv", tmp_path).code == 2
    ended = run("show", folder, "--sort", "helpfulness")
    assert ended.code == 2
    assert "name one of trials.csv" in ended.err


def test_show_prints_json_with_the_points_in_their_order(run: Command, make_run: MakeRun) -> None:
    ended = run("show", make_run(), "--json", "--sort=-reward")
    shown = json.loads(ended.out)
    assert [point["number"] for point in shown["points"]] == [1, 4, 3, 0]
    assert shown["points"][1]["objectives"]["reward"] == {"value": 3.5, "se": 0.1}
    assert 0 < shown["uniform_hypervolume"] < shown["hypervolume"]


def test_compare_prints_json(run: Command, make_run: MakeRun) -> None:
    shown = json.loads(run("compare", make_run("first"), make_run("second", shift=0.4), "--json").out)
    assert shown["runs"]["first"]["hypervolume"] == pytest.approx(3.5 / 4 * 0.35 / 0.4 + 1.5 / 4 * 0.1)
    assert [each["knee"]["number"] for each in shown["runs"].values()] == [4, 4]
    assert shown["notes"] == []


def test_show_prints_latex(run: Command, make_run: MakeRun) -> None:
    out = run("show", make_run(), "--latex").out
    assert out.startswith(r"\begin{tabular}{lrrr}")
    assert r"4 & 3.50 $\pm$ 0.10 & 0.050 $\pm$ 0.010 & 0.500 \\" in out


def test_compare_measures_every_run_in_the_box_of_the_first(run: Command, make_run: MakeRun, tmp_path: Path) -> None:
    first, second = make_run("first"), make_run("second", shift=0.4, **{"/x/reward.py": "3", "study": "b"})
    ended = run("compare", first, second, "-o", tmp_path / "both.svg")
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines() if line.startswith(("first  ", "second  "))]
    volumes = {row[0]: row[3] for row in rows}
    # Strips from right to left: 4 of 4 wide 0; 3.5 (or 3.9) of 4 from 0.05 to 0.4; 1.5 from 0.01 to 0.05.
    assert volumes == {
        "first": f"{3.5 / 4 * 0.35 / 0.4 + 1.5 / 4 * 0.1:.3f}",
        "second": f"{3.9 / 4 * 0.35 / 0.4 + 1.5 / 4 * 0.1:.3f}",
    }
    assert (tmp_path / "both.svg").read_text().startswith("<?xml")
    assert run("compare", first, second, "-o", tmp_path / "both.txt").code == 2


def test_compare_refuses_other_items_and_says_so_of_another_pair(run: Command, make_run: MakeRun) -> None:
    first = make_run("first")
    moved = make_run("moved", **{"/x/reward.py": "4"})
    items = make_run("items", **{"the items of arc (search split)": "9"})
    other = make_run("other", **{"base and aligned": "9"})
    for folder, what in ((moved, "the scorers"), (items, "the items of arc (search split)")):
        ended = run("compare", first, folder)
        assert ended.code == 2
        assert f"cannot be compared, as these differ: {what}" in ended.err
    ended = run("compare", first, other)
    assert ended.code == 0
    assert "another pair" in ended.out.replace("\n", " ")
    assert run("compare", first).code == 2
