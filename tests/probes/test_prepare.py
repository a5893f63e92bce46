"""Probes from run files: every kind, and what is passed on to presets and tasks."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import cloudpickle

from ama_ray.config import PresetProbe, TaskProbe
from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.probes import registry as probes
from ama_ray.scores.metrics import METRICS
from tests.support.probe_items import ANSWER, KINDS, TEXT, TextTokenizer, moved, prepare, probe


def answer(request: Any) -> Any:
    match request:
        case Generation():
            return [Reply("9")]
        case Continuations():
            return [-float(i + 1) for i, _ in enumerate(request.continuations)]
        case NextToken():
            return {0: -0.1, 1: -3.0}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_from_file_to_score(tmp_path: Path, kind: str) -> None:
    row, metric = KINDS[kind]
    made = probe(tmp_path, kind, [row, moved(moved(row))], [moved(row)])
    assert probes.metric(made) == metric
    assert probes.name_and_family(made) == ("p", "f")
    search, report = prepare(made)
    for part, items in ((search, 2), (report, 1)):
        # It travels to the actors of a run.
        there = cloudpickle.loads(cloudpickle.dumps(part))
        answers = [answer(request) for request in there.requests]
        statistics = there.statistics(answers, answers)
        assert statistics.dtype == np.float64
        assert statistics.shape[0] == there.count == items
        assert np.isfinite(METRICS[metric].score(statistics))
    assert not set(search.requests) & set(report.requests) or kind == "kl"


def test_long_texts_are_divided_and_others_are_not(tmp_path: Path) -> None:
    made = probe(tmp_path, "perplexity", [TEXT], [moved(TEXT)])
    assert [len(part.requests) for part in prepare(made, limit=4)] == [2, 2]
    made = probe(tmp_path, "kl", [TEXT], [moved(TEXT)])
    assert [len(part.requests) for part in prepare(made, limit=3)] == [2, 2]


def test_names_and_metrics_of_presets() -> None:
    assert probes.name_and_family(PresetProbe(preset="squad")) == ("squad", "reading")
    assert probes.name_and_family(PresetProbe(preset="squad", name="s", family="t")) == ("s", "t")
    assert probes.metric(PresetProbe(preset="squad")) == "mean"
    assert probes.metric(PresetProbe(preset="wmt14_fr_en")) == "bleu"


def test_tasks_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made = TaskProbe(name="t", family="f", task="arc_easy")
    monkeypatch.setattr("ama_ray.probes.lm_eval.loading.load", lambda *arguments: (arguments, "report"))
    monkeypatch.setattr("ama_ray.probes.lm_eval.loading.metric", lambda probe: "kl")
    monkeypatch.setattr("ama_ray.probes.lm_eval.loading.uses_test_split", lambda probe: True)
    tokenizer: Any = TextTokenizer()
    prepared: dict[str, Any] = dict(probes.prepare(made, tokenizer, 0.3, 7))
    # It is whole for every trial of the search, and in the first part.
    assert prepared["search"] == prepared["trade"] == prepared["part-0"] == (made, tokenizer, 0.3, 7)
    assert (prepared["report"], len(prepared)) == ("report", 4)
    assert probes.metric(made) == "kl"
    assert probes.uses_test_split(made)
    assert probes.name_and_family(made) == ("t", "f")


@pytest.mark.parametrize(("name", "expected"), [("test.jsonl", True), ("dev.jsonl", False), ("latest.jsonl", False)])
def test_a_test_split_is_known_by_its_name(tmp_path: Path, name: str, expected: bool) -> None:
    made = probe(tmp_path, "exact", [ANSWER], [moved(ANSWER)])
    assert probes.uses_test_split(made.model_copy(update={"file": tmp_path / name})) is expected
    # What the report is made from may be a test split.
    assert not probes.uses_test_split(made.model_copy(update={"report_file": tmp_path / "test.jsonl"}))


def test_nothing_heavy_is_imported() -> None:
    heavy = ("torch", "transformers", "vllm", "ray", "lm_eval", "sacrebleu", "scipy", "datasets")
    code = (
        "import sys; from ama_ray.config import PresetProbe; from ama_ray.probes import registry as probes\n"
        "from ama_ray.probes.exact import ExactProbe\n"
        "p = ExactProbe(name='p', family='f', file='x'); probes.metric(p), probes.name_and_family(p)\n"
        "p = PresetProbe(preset='squad'); probes.metric(p), probes.name_and_family(p), probes.uses_test_split(p)\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
