"""The whole road on the miniature: a real search, its files, its exports, against transformers."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ama_ray
from ama_ray import Run, RunConfig
from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS
from ama_ray.evaluation.evaluation import SPLITS
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.probes.registry import name_and_family
from tests.support.small_runs import fewer_items

pytestmark = pytest.mark.engine
GROUPS = ["embed", *(f"layer-{layer}" for layer in range(6)), "head"]
TRIALS = 14


@dataclass
class Searched:
    """A run that a search returned, with its folder, the folder of its items, and what it said."""

    run: Run
    out: Path
    data: Path
    lines: list[str]

    @property
    def front(self) -> ParetoSet:
        return self.run.pareto

    @property
    def rows(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "trials.csv")

    @property
    def searched(self) -> pd.DataFrame:
        return self.rows[self.rows["tax"].notna() | (self.rows["state"] == "failed")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    folder = tmp_path_factory.mktemp("search")
    out, data = folder / "run", folder / "data"
    fields: dict[str, Any] = {"trials": TRIALS, "early_stopping": False, "report": {"samples": 1}}
    fields |= fewer_items(data, 50, 100)
    lines: list[str] = []
    found = ama_ray.search(ROOT / "run.yaml", **fields, out=out, progress=lines.append)
    return Searched(found, out, data, lines)


def test_trials_csv_has_the_promised_columns_and_a_row_per_trial(run: Searched) -> None:
    probes = [probe.name for probe in RunConfig.load(ROOT / "run.yaml").tax]
    replied = ["reward", "sums", "reversal", "translation"]
    scores = [
        *("reward", "reward_se", "tax", "tax_se"),
        *(f"{probe}.{column}" for probe in probes for column in ("score", "score_se", "tax", "tax_se")),
        *(f"{name}.{column}" for name in replied for column in ("tokens", "tokens_se", "cut_off")),
    ]
    assert list(run.rows.columns) == [
        *("number", "state", "reason", "origin", "share"),
        *(f"ratio.{group}" for group in GROUPS),
        *scores,
        *(f"report.{column}" for column in scores),
        *("seconds.swap", "seconds.generate", "seconds.score"),
        "check",
    ]
    assert run.searched["number"].tolist() == list(range(TRIALS))
    assert set(run.rows["state"]) == {"complete"}


def test_the_uniform_baseline_is_always_among_the_trials(run: Searched) -> None:
    baseline = run.rows[run.rows["origin"] == "baseline"]
    ratios = baseline[[f"ratio.{group}" for group in GROUPS]]
    assert (ratios.nunique(axis=1) == 1).all()
    assert sorted(ratios["ratio.embed"]) == list(BASELINE_RATIOS)
    assert (run.rows["origin"] == "sampler").sum() == TRIALS - len(FIRST_RATIOS)


def test_base_pays_no_tax_and_aligned_pays_for_its_reward(run: Searched) -> None:
    base, aligned = run.front.base, run.front.aligned
    assert base.tax == 0
    assert base.tax_se == 0
    assert all(probe.tax == 0 for probe in base.probes.values())
    assert aligned.reward > base.reward + 2
    assert aligned.tax > 0.1


@pytest.mark.parametrize("prefix", ["", "report."])
def test_tax_is_the_mean_over_families(run: Searched, prefix: str) -> None:
    rows = run.rows
    families: dict[str, list[str]] = {}
    for name, family in map(name_and_family, RunConfig.load(ROOT / "run.yaml").tax):
        families.setdefault(family, []).append(f"{prefix}{name}.tax")
    by_family = pd.DataFrame({family: rows[columns].mean(axis=1) for family, columns in families.items()})
    pd.testing.assert_series_equal(by_family.mean(axis=1), rows[f"{prefix}tax"], check_names=False)


def test_the_front_and_what_it_is_compared_with_are_scored_again_on_the_report_split(run: Searched) -> None:
    reported = set(run.rows[run.rows["report.reward"].notna()]["number"])
    as_searched = run.run.searched_pareto
    assert {trial.number for trial in (*as_searched.front, *as_searched.uniform)} <= reported
    assert run.front.split == "report"
    assert all(trial.split == "report" for trial in run.front)
    files = {path.stem for path in (run.out / "items" / "report").iterdir()}
    assert files == {str(number) for number in reported}
    knee = run.front.pick("knee")
    twins = run.rows[run.rows["origin"] == "twin"]
    if knee.uniform_ratio is None:
        assert twins["ratio.head"].tolist() == pytest.approx([knee.mean_ratio])
    summary = json.loads((run.out / "summary.json").read_text())
    assert summary["optimism"] == pytest.approx(run.run.optimism.value)
    # More prompts than in the search.
    assert run.front.aligned.reward_se < as_searched.aligned.reward_se


def test_every_score_is_that_of_the_items_on_disk(run: Searched) -> None:
    store, objectives = run.run.items, run.run.objectives
    assert objectives == objectives_of(RunConfig.load(run.out / "run.yaml"))
    for split in SPLITS:
        base = store.read(split, run.front.base.number)
        for trial in run.front.trials:
            seen = trial.seen_on(split)
            if seen.scores:
                is_base = trial.number == run.front.base.number
                again = objectives.scores(store.read(split, trial.number), None if is_base else base)
                assert again.objectives["tax"].value == pytest.approx(seen.tax)
                assert again.objectives["tax"].se == pytest.approx(seen.tax_se)
                assert again.objectives["reward"].se == pytest.approx(seen.reward_se)


def test_the_paper_s_table_comes_from_one_command(run: Searched) -> None:
    command = [sys.executable, "-m", "ama_ray.cli", "table", str(run.out), "--max-tax", "0.2"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("base", "aligned", "uniform 0.8", "uniform 0.6", "uniform 0.4", "uniform 0.2", "knee"):
        assert name in table


def test_the_run_folder_holds_the_result_and_no_weights(run: Searched) -> None:
    names = {path.name for path in run.out.iterdir()}
    assert names == {
        *(f"{name}.{ending}" for name in ("convergence", "families", "front") for ending in ("png", "svg")),
        *("convergence.csv", "front.csv", "replies.jsonl", "report.html", "items.html"),
        *("items", "texts", "run.yaml", "summary.json", "trials.csv", "identity.json", "objectives.json"),
        *("study.journal", "log.txt", ".lock"),
    }
    assert not [path for path in run.out.rglob("*") if path.suffix in (".safetensors", ".bin", ".pt")]
    assert RunConfig.load(run.out / "run.yaml").trials == TRIALS
    front = pd.read_csv(run.out / "front.csv")
    assert front["number"].tolist() == [trial.number for trial in run.front]
    assert front["report.reward"].tolist() == pytest.approx([trial.reward for trial in run.front])
    again = Run.open(run.out)
    assert again.pareto.front == run.front.front
    assert again.pareto.hypervolume == run.front.hypervolume
    assert again.objectives == run.run.objectives
    assert run.front.hypervolume >= run.front.uniform_hypervolume
    assert run.run.searched_pareto.hypervolume >= run.run.searched_pareto.uniform_hypervolume


def test_the_run_prints_where_its_time_went(run: Searched) -> None:
    timing = json.loads((run.out / "summary.json").read_text())["timing"]
    assert "orchestration" in run.lines[-1]
    spent = sum(timing[stage] for stage in ("engine_start", "swap", "generate", "score"))
    assert 0 < spent <= timing["wall"] * timing["slots"]
    assert list(timing["to_first_trial"]) == ["import", "open", "ray", "deep check", "first trial"]
    assert 0 < sum(timing["to_first_trial"].values()) < timing["wall"]
    assert timing["orchestration"] == pytest.approx(1 - spent / timing["wall"] / timing["slots"])


def by_transformers(folder: Path, data: Path) -> dict[str, float]:
    """Scores every probe of a folder of items with plain transformers, in a process that never sees vllm."""
    code = """
import json, sys
from pathlib import Path
from transformers import AutoTokenizer, LlamaForCausalLM
from ama_ray.miniature.recipe.evaluate import probe_score, read_rows
model = LlamaForCausalLM.from_pretrained(sys.argv[1], dtype="float32").eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], padding_side="left")
files = sorted(path for path in Path(sys.argv[2]).glob("*.jsonl") if path.stem != "prompts")
print(json.dumps({path.stem: probe_score(model, tokenizer, read_rows(path)) / 100 for path in files}))
"""
    command = [sys.executable, "-c", code, str(folder), str(data)]
    scores: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return scores


@pytest.mark.parametrize("number", [1, 5, TRIALS - 1])
def test_an_exported_point_scores_in_transformers_as_in_the_search(run: Searched, number: int, tmp_path: Path) -> None:
    folder = run.run.export(number, tmp_path / "merged")
    trial = run.front.trials[number]
    assert trial.search is not None
    expected = {name: probe.score for name, probe in trial.search.probes.items()}
    assert by_transformers(folder, run.data / "search") == pytest.approx(expected)


def test_the_knee_scores_in_transformers_as_on_the_report_split(run: Searched, tmp_path: Path) -> None:
    knee = run.front.pick("knee")
    folder = run.run.export(knee, tmp_path / "merged")
    expected = {name: probe.score for name, probe in knee.probes.items()}
    assert by_transformers(folder, run.data / "report") == pytest.approx(expected)


def test_show_and_export_work_on_the_folder_from_the_command_line(run: Searched, tmp_path: Path) -> None:
    def ama(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", "ama_ray.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    shown = ama("show", run.out)
    assert "The front on the report split" in shown
    assert f"{run.front.hypervolume:.3f}" in shown
    ama("export", run.out, "--point", "knee", "-o", tmp_path / "merged")
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert (tmp_path / "merged" / "tokenizer.json").is_file()
