"""Tasks of lm-evaluation-harness become requests in token ids, and answers the task's own score."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import transformers
from ray import cloudpickle

from ama_ray.config import RunConfig, TaskProbe
from ama_ray.data.thinking import Thinking
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.miniature import ROOT
from ama_ray.probes import registry as probes
from ama_ray.probes.lm_eval import loading
from ama_ray.scores.metrics import METRICS
from tests.support.lm_eval_tasks import answered, data, loaded, probe, prompts, rows, write_tasks

if TYPE_CHECKING:
    from pathlib import Path


pytest.importorskip("lm_eval")

THINKING = Thinking("</think>", "<think>")
FACTS, SUMS = data("facts"), data("sums")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(ROOT / "base")


def test_a_choice_task_asks_for_its_choices_and_scores_the_likeliest(folder: Path, tokenizer: Any) -> None:
    search, report = loaded(folder, tokenizer, "mini_facts")
    for items, split in ((search, "validation"), (report, "test")):
        expected = rows(FACTS[split])
        assert prompts(items) == [row["prompt"] for row in expected]
        for request, row in zip(items.requests, expected, strict=True):
            context = tokenizer.encode(row["prompt"])
            after = [tokenizer.encode(f"{row['prompt']} {choice}")[len(context) :] for choice in row["choices"]]
            assert request == Continuations(tuple(context), tuple(tuple(tokens) for tokens in after))
        answers = answered(items)
        best = [int(np.argmax(answer)) for answer in answers]
        assert items.statistics(answers, answers)[:, 0].tolist() == [
            float(index == row["gold"]) for index, row in zip(best, expected, strict=True)
        ]
    assert loading.metric(probe(folder, "mini_facts")) == "mean"


def test_another_metric_of_the_task(folder: Path, tokenizer: Any) -> None:
    _, items = loaded(folder, tokenizer, "mini_facts", metric="acc_norm")
    answers, expected = answered(items), rows(FACTS["test"])
    lengths = [[len(choice) for choice in row["choices"]] for row in expected]
    best = [int(np.argmax(np.divide(answer, length))) for answer, length in zip(answers, lengths, strict=True)]
    hits = [float(index == row["gold"]) for index, row in zip(best, expected, strict=True)]
    assert items.statistics(answers, answers)[:, 0].tolist() == hits
    assert items.count == len(hits)
    _, plain = loaded(folder, tokenizer, "mini_facts")
    assert hits != plain.statistics(answers, answers)[:, 0].tolist()


def test_replies_go_through_the_tasks_filters(folder: Path, tokenizer: Any) -> None:
    _, items = loaded(folder, tokenizer, "mini_sums")
    expected = rows(SUMS["test"])
    assert list(items.requests) == [
        Generation(tuple(tokenizer.encode(row["prompt"])), max_tokens=10, stop=("\n", " ="), thinking=THINKING)
        for row in expected
    ]
    replies = {row["prompt"]: f" it is {row['answer']} = 7" if i % 3 else "none" for i, row in enumerate(expected)}
    answers = answered(items, replies)
    assert items.statistics(answers, answers)[:, 0].tolist() == [float(i % 3 > 0) for i in range(len(expected))]
    _, whole = loaded(folder, tokenizer, "mini_sums", metric="exact_match,whole")
    assert not whole.statistics(answers, answers).any()
    bare = answered(whole, {row["prompt"]: f" {row['answer']}" for row in expected})
    assert whole.statistics(bare, bare).all()


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_corpus_scores(folder: Path, tokenizer: Any, metric: str) -> None:
    from lm_eval.api.registry import get_aggregation

    _, items = loaded(folder, tokenizer, "mini_translation", metric=metric)
    expected = rows(data("translation")["test"])
    replies = {row["prompt"]: " ".join(row["answer"].split()[: 1 + i % 6]) for i, row in enumerate(expected)}
    answers = answered(items, replies)
    theirs = get_aggregation(metric)([(row["answer"], replies[row["prompt"]]) for row in expected])
    assert METRICS[metric].score(items.statistics(answers, answers)) == pytest.approx(theirs / 100)
    assert loading.metric(probe(folder, "mini_translation", metric=metric)) == metric


@pytest.mark.long
def test_what_greedy_decoding_gives_is_asked_only_where_it_counts(folder: Path, tokenizer: Any) -> None:
    _, perplexity = loaded(folder, tokenizer, "mini_last")
    assert not any(isinstance(request, NextToken) for request in perplexity.requests)
    answers = answered(perplexity)
    statistics = perplexity.statistics(answers, answers)
    assert statistics.tolist() == [[-answer[0], 1.0] for answer in answers]
    assert loading.metric(probe(folder, "mini_last")) == "perplexity"
    mean = np.mean([answer[0] for answer in answers])
    assert METRICS["perplexity"].score(statistics) == pytest.approx(math.exp(-mean))

    _, accuracy = loaded(folder, tokenizer, "mini_last", metric="acc")
    targets = {
        (tuple(tokenizer.encode(row["prompt"])), tuple(tokenizer.encode(row["answer"], add_special_tokens=False)))
        for row in rows(SUMS["test"])
    }
    wanted = {before + after[:i] for before, after in targets for i in range(len(after))}
    assert {request.context for request in accuracy.requests if isinstance(request, NextToken)} == wanted
    likeliest = {before + after[:i]: after[i] for before, after in targets for i in range(len(after))}
    right = [
        {likeliest[request.context]: -0.1, 3: -3.0} if isinstance(request, NextToken) else [-1.0]
        for request in accuracy.requests
    ]
    assert accuracy.statistics(right, right).all()
    last = next(i for i in reversed(range(len(right))) if isinstance(accuracy.requests[i], NextToken))
    right[last] = {3: -0.1}
    assert 0 < (accuracy.statistics(right, right) == 0).sum() < len(accuracy.documents)


@pytest.mark.long
@pytest.mark.parametrize(("metric", "ours"), [("word_perplexity", "perplexity"), ("bits_per_byte", "bits-per-byte")])
def test_rolling_likelihood_of_texts(folder: Path, tokenizer: Any, metric: str, ours: str) -> None:
    _, items = loaded(folder, tokenizer, "mini_text", metric=metric)
    assert loading.metric(probe(folder, "mini_text", metric=metric)) == ours
    texts = [f"{row['prompt']} {row['answer']}" for row in rows(data("translation")["test"])]
    begin = tokenizer.bos_token_id
    assert items.requests == (
        Continuations((begin,), tuple(dict.fromkeys(tuple(tokenizer.encode(text)) for text in texts))),
    )
    answers = answered(items)
    scores = [-1000.0 / (1 + sum(tokenizer.encode(text))) for text in texts]
    counts = [len(text.split()) if metric == "word_perplexity" else len(text.encode()) for text in texts]
    total = -sum(scores) / sum(counts)
    expected = math.exp(total) if metric == "word_perplexity" else total / math.log(2)
    assert METRICS[ours].score(items.statistics(answers, answers)) == pytest.approx(expected)


@pytest.mark.long
def test_long_contexts_lose_their_start_and_long_texts_are_scored_in_windows(folder: Path, tokenizer: Any) -> None:
    limit = 8
    for name in ("mini_facts", "mini_text"):
        whole, _ = loaded(folder, tokenizer, name)
        cut, _ = loading.load(probe(folder, name), tokenizer, 0.5, limit)
        assert {request.length for request in cut.requests} >= {limit}
        assert max(request.length for request in cut.requests) == limit
        if name == "mini_facts":
            contexts = [request.context for request in whole.requests if isinstance(request, Continuations)]
            for request, context in zip(cut.requests, contexts, strict=True):
                assert isinstance(request, Continuations)
                assert context[-len(request.context) :] == request.context
        else:
            for question, document in zip(cut.questions, cut.documents, strict=True):  # type: ignore[attr-defined]
                (text,) = document.instances[0].args
                assert [t for _, after in question.windows for t in after] == tokenizer.encode(text)
                assert len(question.windows) > 1


@pytest.mark.long
def test_a_probe_with_functions_of_its_own_travels(folder: Path, tokenizer: Any, tmp_path: Path) -> None:
    _, items = loaded(folder, tokenizer, "mini_near", items=10)
    replies = dict.fromkeys(prompts(items), " 1 1")
    answers = answered(items, replies)
    (tmp_path / "items").write_bytes(cloudpickle.dumps((items, answers)))
    # In a process that knows nothing of the folder.
    program = (
        "import pickle, pathlib, sys; items, answers = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(items.statistics(answers, answers)[:, 0].tolist())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "items")], capture_output=True, text=True, check=True
    )
    expected = [float(document.instances[0].doc["answer"].startswith("1")) for document in items.documents]
    assert run.stdout.strip() == str(expected)
    assert sum(expected) > 0


def test_a_run_file_with_a_task(folder: Path, tokenizer: Any, tmp_path: Path) -> None:
    config = RunConfig.parse(
        {
            "base": "base",
            "aligned": "rsf",
            "out": "out",
            "reward": {"kind": "function", "scorer": "reward.py:score", "prompts": {"file": "prompts.jsonl"}},
            "tax": [{"name": "facts", "family": "facts", "task": "mini_facts", "include": folder.name, "items": 5}],
        },
        "run.yaml",
        folder.parent,
    )
    (parsed,) = config.tax
    assert isinstance(parsed, TaskProbe)
    prepared = probes.prepare(parsed, tokenizer, config.report.share, 128)
    search, report = prepared["search"], prepared["report"]
    assert prepared["part-0"] is search
    assert (search.name, len(search.requests), len(report.requests)) == ("facts", 5, 5)
    assert (probes.metric(parsed), probes.uses_test_split(parsed)) == ("mean", False)
