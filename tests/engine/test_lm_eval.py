"""The same task on the same model, through our engine and through lm-evaluation-harness's Hugging Face backend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import transformers
import yaml

from ama_ray.config import CommandProbe, EngineSettings, TaskProbe
from ama_ray.engine.requests import Continuations, Generation
from ama_ray.miniature import ROOT
from ama_ray.probes.lm_eval import loading
from ama_ray.scores.metrics import METRICS
from tests.support import live_engine
from tests.support.clients import CLIENT, FLOOD
from tests.support.doc_blocks import blocks
from tests.support.lm_eval_tasks import tasks, write_tasks
from tests.support.processes import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.config import Split
    from ama_ray.engine.requests import Request
    from ama_ray.evaluation.commands import Outcome
    from ama_ray.probes.lm_eval.probe import TaskItems

pytestmark = pytest.mark.engine
lm_eval = pytest.importorskip("lm_eval")
pytest.importorskip("accelerate", reason="lm-evaluation-harness's Hugging Face backend needs accelerate")

CONTEXT = 128
MODEL = "rsf"
"""Of the miniature: one that is right about some items and wrong about others."""
NAMES = ("mini_facts", "mini_shots", "mini_sums", "mini_last", "mini_text", "mini_near", "mini_translation")
TOLERANCE = 1e-4


class Live:
    """The engine in its process, with the method that probes need."""

    def __init__(self, process: OwnProcess) -> None:
        self._process = process

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        return self._process.run(live_engine.ask, "answer", requests)

    def reset_cache(self) -> None:
        self._process.run(live_engine.ask, "reset_cache")

    def run_command(self, settings: CommandProbe, split: Split) -> Outcome:
        return self._process.run(live_engine.run_command, settings, split)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("pair")
    for name, checkpoint in (("base", "base"), ("aligned", MODEL)):
        (folder / name).symlink_to(ROOT / checkpoint)
    process = OwnProcess()
    settings = EngineSettings(dtype="float32", kv_cache_gib=0.25)
    groups = process.run(live_engine.start, folder, "per-layer", settings, CONTEXT)
    process.run(live_engine.ask, "swap", dict.fromkeys(groups, 1.0))
    yield Live(process)
    process.close()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(ROOT / MODEL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


def evaluated(folder: Path, model: Any, names: Sequence[str] = NAMES) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    results = lm_eval.simple_evaluate(model=model, tasks=list(names), task_manager=manager, bootstrap_iters=0)
    assert results is not None
    return dict(results)


def hugging_face(**more: Any) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(ROOT / MODEL), dtype="float32", device="cpu", batch_size=16, **more)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, Any]:
    return evaluated(folder, hugging_face())


def of_documents(results: dict[str, Any], name: str, metric: str) -> list[Any]:
    """Their value of a metric for every document."""
    metric, _, chosen = metric.partition(",")
    samples = [sample for sample in results["samples"][name] if not chosen or sample["filter"] == chosen]
    return [sample[metric] for sample in sorted(samples, key=lambda sample: sample["doc_id"])]


@pytest.mark.parametrize(
    "asked_for",
    [
        "mini_facts acc",
        "mini_facts acc_norm",
        "mini_shots acc",
        "mini_sums exact_match,digits",
        "mini_sums exact_match,whole",
        "mini_near near",
        "mini_last acc",
        "mini_last perplexity",
        "mini_text word_perplexity",
        "mini_text byte_perplexity",
        "mini_text bits_per_byte",
        "mini_translation bleu",
        "mini_translation chrf",
    ],
)
def test_a_probe_scores_as_lm_eval_item_by_item(
    engine: Live, tokenizer: Any, folder: Path, theirs: dict[str, Any], asked_for: str
) -> None:
    name, metric = asked_for.split()
    probe = TaskProbe(name="probe", family="family", task=name, include=folder, metric=metric)
    search, report = loading.load(probe, tokenizer, 0.5, CONTEXT)
    ours, expected = METRICS[loading.metric(probe)], of_documents(theirs, name, metric)
    if name == "mini_shots":
        # Its one split is divided, and each half has the very prompts of the whole.
        halves: Any = (search, report)
        got = {d.instances[0].doc_id: row for items in halves for d, row in rows_of(engine, items)}
        statistics = np.array([got[i] for i in range(len(got))])
    else:
        statistics = np.array([row for _, row in rows_of(engine, report)])  # type: ignore[arg-type]
    metric = metric if "," in metric else f"{metric},none"
    score = theirs["results"][name][metric]
    if name == "mini_translation":
        score /= 100
    print(f"{name} {metric}: ours {ours.score(statistics):.6f}, theirs {score:.6f}")
    assert ours.score(statistics) == pytest.approx(score, rel=TOLERANCE)
    assert len(statistics) == len(expected)
    if name in ("mini_last", "mini_text") and "acc" not in metric:
        values = [value if isinstance(value, float) else value[0] for value in expected]
        assert np.abs(-statistics[:, 0] - values).max() <= TOLERANCE * max(1, np.abs(values).max())
    elif name != "mini_translation":
        assert statistics[:, 0].tolist() == expected
        assert 0 < sum(expected) < len(expected)


def rows_of(engine: Live, items: TaskItems) -> list[tuple[Any, list[float]]]:
    answers = engine.answer(items.requests)
    return list(zip(items.documents, items.statistics(answers, answers).tolist(), strict=True))


def test_the_engine_stands_behind_their_interface(
    engine: Live, tokenizer: Any, folder: Path, theirs: dict[str, Any]
) -> None:
    from ama_ray.probes.lm_eval.engine_lm import EngineLM

    ours = evaluated(folder, EngineLM.on(engine, tokenizer, CONTEXT))  # type: ignore[arg-type]
    for name in NAMES:
        for metric, value in theirs["results"][name].items():
            if isinstance(value, float):
                assert ours["results"][name][metric] == pytest.approx(value, rel=TOLERANCE)
        pairs = list(zip(ours["samples"][name], theirs["samples"][name], strict=True))
        for mine, other in pairs:
            assert mine["arguments"] == other["arguments"]
            if name in ("mini_sums", "mini_near", "mini_translation"):
                assert mine["resps"] == other["resps"]
            elif name != "mini_text":
                for (a,), (b,) in zip(mine["resps"], other["resps"], strict=True):
                    assert a[0] == pytest.approx(b[0], abs=1e-3)
                    assert a[1] == b[1]


def test_what_is_too_long_is_cut_as_theirs(engine: Live, tokenizer: Any, folder: Path) -> None:
    from ama_ray.probes.lm_eval.engine_lm import EngineLM

    most, names = 12, ("mini_shots", "mini_text")
    theirs = evaluated(folder, hugging_face(max_length=most), names)
    # Their limit is on what the model is fed, ours also on what it generates after it.
    limit = most + Continuations((0,), ((0,),)).length - 1
    ours = evaluated(folder, EngineLM.on(engine, tokenizer, limit), names)  # type: ignore[arg-type]
    for name in names:
        for mine, other in zip(ours["samples"][name], theirs["samples"][name], strict=True):
            flat = [np.ravel(each["resps"]).astype(float) for each in (mine, other)]
            assert np.abs(flat[0] - flat[1]).max() <= 1e-3


def test_long_prompts_of_replies_are_cut_as_theirs(engine: Live, tokenizer: Any, folder: Path) -> None:
    from ama_ray.probes.lm_eval.engine_lm import EngineLM

    theirs = evaluated(folder, hugging_face(max_length=15), ["mini_sums"])
    ours = evaluated(folder, EngineLM.on(engine, tokenizer, 15), ["mini_sums"])  # type: ignore[arg-type]
    for mine, other in zip(ours["samples"]["mini_sums"], theirs["samples"]["mini_sums"], strict=True):
        assert mine["resps"] == other["resps"]


@pytest.mark.slow
def test_their_command_line_scores_as_their_task(engine: Live, tokenizer: Any, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
    (script,) = (block.text for block in blocks() if block.file == "lm_eval_harness.py")
    (tmp_path / "harness.py").write_text(script)
    (tmp_path / "tasks").mkdir()
    fields = next(each for each in tasks() if each["task"] == "mini_facts")
    fields = {name: value for name, value in fields.items() if name != "test_split"} | {"task": "facts_search"}
    (tmp_path / "tasks" / "search.yaml").write_text(yaml.safe_dump(fields))
    program = f"PATH={Path(sys.executable).parent}:$PATH TOKENIZER={ROOT / MODEL} exec {sys.executable} harness.py"
    settings = CommandProbe(name="facts", family="f", command=("sh", "-c", program), folder=tmp_path, timeout=200)
    probe = TaskProbe(name="probe", family="family", task="mini_facts", include=folder)
    items, _ = loading.load(probe, tokenizer, 0.5, CONTEXT)
    found = engine.run_command(settings, "search")
    assert found.failure == ""
    ours = {str(document.instances[0].doc_id): row[0] for document, row in rows_of(engine, items)}  # type: ignore[arg-type]
    assert found.scores == ours
    assert 0 < sum(ours.values()) < len(ours)


def test_what_clients_may_ask_besides(engine: Live, tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(CLIENT)
    settings = CommandProbe(name="p", family="f", command=(sys.executable, "ask.py"), folder=tmp_path, timeout=100)
    found = engine.run_command(settings, "search")
    assert found.failure == ""
    said = json.loads(found.written)
    tokens = tokenizer.encode("the cat")
    (sums,) = engine.answer([Continuations(tuple(tokens[:1]), (tuple(tokens[1:]),))])
    assert said["logprobs"][0] is None
    assert sum(said["logprobs"][1:]) == pytest.approx(sums[0], abs=TOLERANCE)
    assert said["models"] == ["point"]
    assert said["codes"] == {"no key": 401, "another key": 401, "another model": 404, "too long": 400, "next": 200}
    assert said["replies"] == [said["alone"]] * 30


def test_one_that_is_ended_while_it_asks_leaves_the_engine_free(engine: Live, tmp_path: Path) -> None:
    (tmp_path / "flood.py").write_text(FLOOD)
    settings = CommandProbe(name="p", family="f", command=(sys.executable, "flood.py"), folder=tmp_path, timeout=15)
    request = [Generation((1, 5, 6), max_tokens=9)]
    before = engine.answer(request)
    found = engine.run_command(settings, "search")
    assert found.failure.startswith("did not end within 15 s: asking")
    engine.reset_cache()
    assert engine.answer(request) == before
