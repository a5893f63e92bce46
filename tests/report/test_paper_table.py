from __future__ import annotations

import json
import math
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from ama_ray.analysis.bootstrap import compare
from ama_ray.config import BASELINE_RATIOS
from ama_ray.errors import UserError
from ama_ray.report.paper_table import PaperTable
from ama_ray.report.text import paper_table
from ama_ray.run import StoredRun
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.scores.trial import Trial
from ama_ray.storage.item_store import ItemStore
from ama_ray.storage.records import write_trials
from tests.support.runs import config_of, run_of, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.scores.trial import Origin

OBJECTIVES = Objectives(
    (RewardTerm("reward", "reward", 1.0, 0),),
    (
        ProbeTerm("arc", "common sense", "mean"),
        ProbeTerm("piqa", "common sense", "mean"),
        ProbeTerm("squad", "reading", "mean"),
        ProbeTerm("wiki", "language", "perplexity"),
    ),
)
TAX = [
    {"kind": "choice", "name": "arc", "family": "common sense", "file": "a.jsonl"},
    {"kind": "choice", "name": "piqa", "family": "common sense", "file": "b.jsonl"},
    {"kind": "exact", "name": "squad", "family": "reading", "file": "c.jsonl"},
    {"kind": "perplexity", "name": "wiki", "family": "language", "file": "d.jsonl"},
]
NOISE = np.random.default_rng(0).normal(size=(5, 200))


def items_of(ratios: tuple[float, float]) -> dict[str, NDArray[np.float64]]:
    """The first group gives all the reward, the second one takes most of the skill."""
    reward = 4 * ratios[0] + 0.5 * ratios[1] + NOISE[0]
    skill = 1 - 0.3 * ratios[0] - 1.5 * ratios[1]
    right = {name: skill + NOISE[i] > 0 for i, name in enumerate(("arc", "piqa", "squad"), start=1)}
    tokens = np.full(200, 50.0)
    text = np.stack([tokens * np.exp(0.8 - 0.2 * skill + 0.1 * NOISE[4]), tokens], axis=1)
    return {"reward": reward[:, None], "wiki": text} | {k: v.astype(float)[:, None] for k, v in right.items()}


@pytest.fixture(params=["report", "search"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a run of thirteen trials, with a report or without."""
    store = ItemStore(tmp_path / "items")
    base = items_of((0.0, 0.0))
    trials: list[Trial] = []

    def add(origin: Origin, ratios: tuple[float, float]) -> None:
        items = items_of(ratios)
        scored = OBJECTIVES.scores(items, base)
        groups = {"a": ratios[0], "b": ratios[1]}
        made = Trial(len(trials), "complete", origin, groups, None if origin == "twin" else scored)
        trials.append(replace(made, report=scored) if request.param == "report" else made)
        store.write(request.param, made.number, items)

    for ratio in BASELINE_RATIOS:
        add("baseline", (ratio, ratio))
    add("sampler", (0.9, 0.1))
    add("sampler", (0.4, 0.7))
    if request.param == "report":
        add("twin", (0.5, 0.5))
    else:
        trials.append(Trial(13, "stopped", "sampler", {"a": 0.0, "b": 1.0}, OBJECTIVES.scores(base, None)))
    return write_run(run_of(trials, tmp_path, objectives=OBJECTIVES, tax=TAX))


def terminal(table: PaperTable, width: int) -> str:
    out = StringIO()
    console = Console(file=out, width=width, color_system=None)
    for part in paper_table.to_terminal(table, width):
        console.print(part)
    return out.getvalue()


def test_it_has_the_rows_the_families_and_the_comparisons(folder: Path) -> None:
    table = PaperTable.open(folder)
    assert [row.label for row in table.rows] == ["base", "aligned", *(f"uniform 0.{i}" for i in (8, 6, 4, 2)), "knee"]
    assert [(m.name, m.scale, m.higher_is_better) for m in table.measures] == [
        ("reward", 1, True),
        ("common sense", 100, True),
        ("reading", 100, True),
        ("language", 1, False),
        ("tax", 1, False),
    ]
    pareto = StoredRun.open(folder).pareto
    knee = table.rows[-1]
    assert knee.trial.number == 11
    right = {name: int(items_of((0.9, 0.1))[name].sum()) for name in ("arc", "piqa")}
    wilson = [stats.binomtest(count, 200).proportion_ci(method="wilson") for count in right.values()]
    scores = [knee.trial.probes[name].score for name in right]
    common = knee.values[1]
    assert common.value == pytest.approx(50 * sum(scores))
    assert common.high - common.value == pytest.approx(
        50 * math.hypot(*(each.high - score for each, score in zip(wilson, scores, strict=True))),
        rel=1e-3,
    )
    assert knee.values[-1].value == pytest.approx(knee.trial.tax)
    (block,) = table.blocks
    # The twin where it was scored, else the baseline of the nearest ratio.
    like = 13 if pareto.split == "report" else 5
    assert [(row.label, row.trial.number) for row in block.against] == [
        ("base", 0),
        ("aligned", 10),
        ("uniform 0.5", like),
    ]
    expected = compare(OBJECTIVES, items_of((0.9, 0.1)), items_of((1.0, 1.0)))
    won = block.against[1].values
    assert won[2].value == pytest.approx(100 * expected.families["reading"].value)
    assert won[2].low == pytest.approx(100 * expected.families["reading"].low, rel=0.05)
    assert won[4].high == pytest.approx(expected.objectives["tax"].high, rel=0.05)
    assert won[2].significant


def test_the_split_is_told(folder: Path) -> None:
    table = PaperTable.open(folder)
    note, place = table.notes
    assert StoredRun.open(folder).pareto.split in note
    assert place.startswith("Trial 11 is on the front in ")


def test_other_picks_are_shown_and_one_point_only_once(folder: Path) -> None:
    pareto = StoredRun.open(folder).pareto
    table = PaperTable.open(folder, max_tax=pareto.pick("knee").tax, min_reward=4.2)
    assert [row.label for row in table.rows][-2:] == [
        f"knee and tax ≤ {pareto.pick('knee').tax:g}",
        "reward ≥ 4.2",
    ]
    assert [block.label for block in table.blocks] == [row.label for row in table.rows][-2:]
    with pytest.raises(UserError, match="No point has reward at least 99"):
        PaperTable.open(folder, min_reward=99)


def test_a_pick_is_not_compared_with_itself(folder: Path) -> None:
    run = StoredRun.open(folder)
    table = PaperTable.of(run, {"cheap": run.pareto.base, "half": run.pareto.uniform[5]})
    cheap, half = table.blocks
    assert [row.label for row in cheap.against] == ["aligned"]
    assert [row.trial.number for row in half.against][:2] == [0, 10]
    assert 5 not in [row.trial.number for row in half.against]


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_the_terminal_and_leaves_nothing_out(folder: Path, width: int) -> None:
    table = PaperTable.open(folder)
    text = terminal(table, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for name in ("reward ↑", "common sense ↑", "reading ↑", "language ↓", "tax ↓"):
        assert text.count(name) >= 2
    knee = table.rows[-1]
    reward = knee.values[0]
    assert f"{reward.value:.2f} [{reward.low:.2f}, {reward.high:.2f}]" in text
    assert "knee (#11, mean ratio 0.5) minus" in text
    gain = table.blocks[0].against[0].values[0]
    assert f"{gain.value:+.2f} [{gain.low:.2f}, {gain.high:.2f}]*" in text


def test_latex_is_tabulars_with_what_is_special_escaped(folder: Path) -> None:
    latex = paper_table.to_latex(PaperTable.open(folder, max_tax=0.5))
    assert (
        latex.count(r"\begin{tabular}")
        == latex.count(r"\end{tabular}")
        == len(PaperTable.open(folder, max_tax=0.5).blocks) + 1
    )
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert r"(\#11)" in latex
    assert "[" in rows[1]
    assert not any(c in "".join(rows) for c in "±≤↑↓")


def test_csv_has_every_number(folder: Path, tmp_path: Path) -> None:
    table = PaperTable.open(folder)
    paper_table.write_csv(table, tmp_path / "table.csv")
    frame = pd.read_csv(tmp_path / "table.csv")
    assert len(frame) == 5 * (len(table.rows) + 3)
    alone = frame[frame["against"].isna() & (frame["row"] == "knee") & (frame["measure"] == "tax")]
    assert alone["value"].tolist() == [table.rows[-1].values[-1].value]
    reading = frame[(frame["against"] == "aligned") & (frame["measure"] == "reading")]
    assert reading["low"].tolist() == [table.blocks[0].against[1].values[2].low]
    assert reading["significant"].tolist() == [True]


def test_json_has_the_numbers_of_the_csv_file(folder: Path, tmp_path: Path) -> None:
    table = PaperTable.open(folder)
    paper_table.write_csv(table, tmp_path / "table.csv")
    shown = paper_table.fields(table)
    frame = pd.read_csv(tmp_path / "table.csv")
    assert list(shown["numbers"][0]) == list(frame.columns)
    assert [each["value"] for each in shown["numbers"]] == frame["value"].tolist()
    json.dumps(shown, allow_nan=False)


def test_a_run_without_items_says_so(folder: Path) -> None:
    for file in (folder / "items").rglob("11.npz"):
        file.unlink()
    with pytest.raises(UserError, match="trial 11 has no items"):
        PaperTable.open(folder)


def test_without_a_trade_there_is_no_knee(folder: Path) -> None:
    pareto = StoredRun.open(folder).pareto
    upside_down = [replace(t, ratios={k: 1 - v for k, v in t.ratios.items()}) for t in pareto.trials]
    write_trials(folder / "trials.csv", upside_down)
    table = PaperTable.open(folder)
    assert table.blocks == ()
    assert table.notes[-1].startswith("There is no knee, as the aligned model does not raise the reward")


def test_constraints_are_noted_and_keep_picks(folder: Path) -> None:
    run, knee = folder / "run.yaml", PaperTable.open(folder).rows[-1].trial
    bounds = {"family.common sense": f"<= {knee.probes['arc'].tax / 2 + knee.probes['piqa'].tax / 2 - 0.01}"}
    run.write_text(config_of(folder, tax=TAX, constraints=bounds).to_yaml())
    table = PaperTable.open(folder)
    assert table.rows[-1].trial.number != knee.number
    assert any(note.startswith("Front: trials with family.common sense <= ") for note in table.notes)
    run.write_text(config_of(folder, tax=TAX, constraints={"reward": ">= 99"}).to_yaml())
    none = PaperTable.open(folder)
    assert not none.blocks
    assert any("No trial satisfies reward >= 99" in note for note in none.notes)
