"""A real search with three objectives, every kind of probe, trials stopped early, and a scorer that fails at times."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import ama_ray
from ama_ray.miniature import ROOT
from tests.support.small_runs import ONE_ENGINE

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.pareto.pareto_set import ParetoSet

pytestmark = pytest.mark.engine
TRIALS = 8
DETAIL = """
def detail(rows, replies):
    lengths = [len(reply.split()) for reply in replies]
    if sum(lengths) % 7 == 1 and len(replies) > 10:
        raise ValueError("no taste today")
    unsure = sum(lengths) % 7 == 2 and len(replies) > 10
    return [float("nan") if unsure else length / 10 for length in lengths]
"""


def split(name: str) -> dict[str, Any]:
    """The miniature's files of both splits, and how many of their items are enough here."""
    return {key: str(ROOT / "data" / part / f"{name}.jsonl") for key, part in FILES} | {"items": 120}


FILES = (("file", "search"), ("report_file", "report"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParetoSet, Path]:
    folder = tmp_path_factory.mktemp("objectives")
    (folder / "detail.py").write_text(DETAIL)
    text = {}
    for key, part in FILES:
        rows = [json.loads(line) for line in (ROOT / "data" / part / "translation.jsonl").read_text().splitlines()]
        text[key] = str(folder / f"text-{part}.jsonl")
        lines = [json.dumps({"text": f"{row['prompt']} {row['answer']}"}) + "\n" for row in rows[:40]]
        (folder / f"text-{part}.jsonl").write_text("".join(lines))
    shared: dict[str, Any] = {"prompts": split("prompts"), "sampling": {"max_tokens": 28, "n": 1}, "kind": "function"}
    found = ama_ray.search(
        base=str(ROOT / "base"),
        aligned=str(ROOT / "rsf"),
        # The space of the other searches, whose deep check then holds here.
        space="per-layer",
        engine=ONE_ENGINE,
        reward=[
            {**shared, "name": "kind", "objective": "helpful", "scorer": f"{ROOT}/reward.py:score"},
            {**shared, "name": "long", "objective": "helpful", "weight": 0.1, "scorer": f"{folder}/detail.py:detail"},
        ],
        tax=[
            {"name": "facts", "family": "knowledge", "kind": "choice", **split("facts")},
            {"name": "trust", "family": "calibration", "kind": "calibration", **split("facts")},
            {"name": "bleu", "family": "translation", "kind": "bleu", "max_tokens": 10, **split("translation")},
            {"name": "f1", "family": "translation", "kind": "f1", "max_tokens": 10, **split("translation")},
            {"name": "sums", "family": "math", "kind": "exact", "max_tokens": 6, **split("sums")},
            {"name": "prose", "family": "language", "kind": "bits-per-byte", **text},
            {"name": "drift", "family": "language", "kind": "kl", "positions": 2, **text},
        ],
        tokens={"of": "kind", "objective": True},
        trials=TRIALS,
        report={"points": 3, "samples": 1},
        out=folder / "run",
    )
    return found.pareto, folder / "run"


def test_three_objectives_reach_the_front_and_the_files(run: tuple[ParetoSet, Path]) -> None:
    front, out = run
    assert front.objectives == ("helpful", "tokens", "tax")
    assert not front.no_trade
    assert front.hypervolume > 0
    rows = pd.read_csv(out / "trials.csv")
    for column in (
        "helpful",
        "helpful_se",
        "tokens",
        "tax",
        "report.tokens",
        "report.tax_se",
        "bleu.score_se",
        "f1.tokens",
    ):
        assert rows[column].notna().any()
    assert {"front.csv", "front.png", "summary.json"} <= {path.name for path in out.iterdir()}
    table = subprocess.run(
        [sys.executable, "-m", "ama_ray.cli", "table", str(out)], capture_output=True, text=True, check=True
    ).stdout
    assert "helpful" in table
    assert "calibration" in table


def test_a_bound_of_tokens_picks_a_point_with_short_replies(run: tuple[ParetoSet, Path]) -> None:
    front, _ = run
    tokens = {trial.number: trial.objectives["tokens"] for trial in front}
    assert all(0 < each.value <= 28 and each.se > 0 for each in tokens.values())
    # Of prompts that all models have in common, and so paired: what a trial says is counted, not what it may say.
    assert len({each.value for each in tokens.values()}) > 1
    bound = sorted(each.value for each in tokens.values())[len(tokens) // 2]
    short = [trial for trial in front if trial.objectives["tokens"].value <= bound]
    assert 0 < len(short) < len(front)
    picked = front.pick(max_tokens=bound)
    assert picked.number in {trial.number for trial in short}
    assert front.trade.above_line(picked) == max(map(front.trade.above_line, short))
    assert all(trial.replies["kind"].cut_off == 0 for trial in front)


def test_every_probe_says_how_sure_it_is(run: tuple[ParetoSet, Path]) -> None:
    front, _ = run
    for probe in front.aligned.probes.values():
        assert probe.score_se > 0
        assert probe.tax_se > 0
    base = front.base.probes
    assert (base["drift"].score, base["drift"].tax) == (0, 0)
    assert front.aligned.probes["drift"].score > 0.01
    # Where lower is better, the tax is the rise.
    prose = front.aligned.probes["prose"]
    assert prose.tax == pytest.approx(prose.score - base["prose"].score)
    assert prose.tax != 0


def test_a_failing_scorer_fails_its_trials_and_the_search_goes_on(run: tuple[ParetoSet, Path]) -> None:
    front, out = run
    rows = pd.read_csv(out / "trials.csv")
    searched = rows[rows["number"] < TRIALS]
    failed = searched[searched["state"] == "failed"]
    assert len(searched) == TRIALS
    assert 0 < len(failed) < TRIALS
    assert failed["reason"].str.contains("detail.py:detail (?:raised ValueError: no taste today|returned nan)").all()
    complete = searched[searched["state"] == "complete"]
    assert complete[["tokens", "tax"]].notna().all(axis=None)
    assert all(trial.state == "complete" and math.isfinite(trial.objectives["tokens"].value) for trial in front)


def test_a_stopped_trial_is_told_by_its_share(run: tuple[ParetoSet, Path]) -> None:
    front, out = run
    rows = pd.read_csv(out / "trials.csv")
    searched = rows[rows["origin"] != "twin"]
    assert ((searched["share"] < 1) == (searched["state"] == "stopped")).all()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["evaluated"] == pytest.approx(searched["share"].mean())
    assert not {trial.number for trial in front} & set(rows[rows["state"] == "stopped"]["number"])
