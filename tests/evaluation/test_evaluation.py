import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ama_ray.config import RunConfig
from ama_ray.data.splits import FEWEST_SEARCHED, PARTS, SEARCH_SHARE
from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.evaluation import work
from ama_ray.evaluation.evaluation import Answers, Evaluation, is_part, joined
from ama_ray.evaluation.inputs import Inputs
from ama_ray.evaluation.texts import texts
from ama_ray.miniature import ROOT
from ama_ray.probes import registry as probes
from ama_ray.probes.exact import ExactProbe
from ama_ray.rewards.base import ScorerError
from tests.support.words import StandInEngine, WordTokenizer

SEARCH: dict[str, list[dict[str, Any]]] = {
    "prompts": [{"prompt": "hello you"}, {"prompt": "good day"}],
    "facts": [{"prompt": "sky", "choices": ["red", "blue"], "gold": gold} for gold in (1, 0)],
    "more": [{"prompt": "grass", "choices": ["green", "black"], "gold": 1}],
    "fr": [{"prompt": "say oui", "answer": "oui"}, {"prompt": "say non", "answer": "no"}],
}
REPORT: dict[str, list[dict[str, Any]]] = {
    "prompts": [{"prompt": "good night"}],
    "facts": [{"prompt": "sea", "choices": ["red", "blue"], "gold": 1}],
    "more": [{"prompt": "snow", "choices": ["green", "white"], "gold": 0}],
    "fr": [{"prompt": "say un", "answer": "un"}],
}


def prepare(folder: Path, limit: int | None = None, copies: int = 1) -> tuple[dict[str, Evaluation], WordTokenizer]:
    for split, files in (("search", SEARCH), ("report", REPORT)):
        for name, kinds in files.items():
            rows = [row | {"prompt": row["prompt"] + " so" * copy} for copy in range(copies) for row in kinds]
            (folder / f"{name}-{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "reward.py").write_text(
        "def score(rows, replies):\n    return [len(reply.strip()) for reply in replies]\n"
    )

    tokenizer = WordTokenizer()
    return Evaluation.prepare(config_in(folder), tokenizer, limit), tokenizer


def config_in(folder: Path) -> RunConfig:
    def source(name: str) -> dict[str, Path]:
        return {"file": folder / f"{name}-search.jsonl", "report_file": folder / f"{name}-report.jsonl"}

    return RunConfig.from_arguments(
        base="base",
        aligned="aligned",
        reward={
            "kind": "function",
            "prompts": source("prompts"),
            "scorer": f"{folder}/reward.py:score",
            "sampling": {"n": 2, "max_tokens": 4},
        },
        tax=[
            {"name": "facts", "family": "knowledge", "kind": "choice", **source("facts")},
            {"name": "fr", "family": "translation", "kind": "exact", **source("fr"), "max_tokens": 3},
            {"name": "more", "family": "knowledge", "kind": "choice", **source("more")},
            {"name": "again", "family": "knowledge", "kind": "choice", **source("more"), "metric": "acc_norm"},
        ],
        report={"samples": 3},
        out=folder / "out",
    )


def test_answers_return_to_the_part_that_asked(tmp_path: Path) -> None:
    evaluations, tokenizer = prepare(tmp_path)
    evaluation = evaluations["search"]
    answers = evaluation.ask(StandInEngine(tokenizer))
    measured = evaluation.measure(answers, answers)
    assert {name: items[:, 0].tolist() for name, items in measured.items.items()} == {
        "reward": [3, 3],
        "facts": [1, 0],
        "fr": [1, 0],
        "more": [1],
        "again": [1],
        "replies.reward": [2, 2],
        "replies.fr": [2, 2],
    }
    assert all(items.ndim == 2 for items in measured.items.values())
    assert measured.tokens == {}
    examined = evaluation.evaluate(StandInEngine(tokenizer), lambda: answers)
    assert all(np.array_equal(examined.items[name], measured.items[name]) for name in measured.items)
    assert examined.seconds.keys() == {"generate", "score"}
    assert [(each.prompt, each.reply) for each in examined.replies] == [("hello you", " you\n"), ("good day", " day\n")]
    assert examined.said == {"reward": [" you\n", " day\n"]}  # of the search split, only prompts have texts
    probes = evaluation.measure_probes(answers, answers)
    assert all(np.array_equal(probes[name], measured.items[name]) for name in probes)


def test_what_several_parts_ask_is_asked_once(tmp_path: Path) -> None:
    evaluation = prepare(tmp_path)[0]["search"]
    # Two prompts, one fact asked twice, two sentences, one choice that two probes share.
    assert len(evaluation.requests) == 2 + 1 + 2 + 1
    assert evaluation.places["more"] == evaluation.places["again"]


def test_the_report_split_has_its_own_items_and_more_samples(tmp_path: Path) -> None:
    evaluations, tokenizer = prepare(tmp_path)
    search, report = evaluations["search"], evaluations["report"]
    assert not set(search.requests) & set(report.requests)
    assert {request.n for request in search.rewards[0].requests} == {2}
    assert {request.n for request in report.rewards[0].requests} == {6}
    answers = report.ask(StandInEngine(tokenizer))
    assert report.measure(answers, answers).items["fr"].tolist() == [[1]]
    said = report.evaluate(StandInEngine(tokenizer), lambda: answers).said
    asked = texts(report.rewards, report.probes)
    assert {name: len(each) for name, each in said.items()} == {name: len(each) for name, each in asked.items()}
    assert said.keys() == {"reward", "facts", "fr", "more", "again"}
    assert said["fr"][0].strip() == asked["fr"][0].gold


def test_the_context_length_is_that_of_the_longest_request(tmp_path: Path) -> None:
    assert prepare(tmp_path)[0]["search"].context_length == 3 + 4


def test_a_prompt_too_long_for_the_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"prompts-search.jsonl, line 1: .* need 7 tokens, and the model takes 6"):
        prepare(tmp_path, limit=6)


def test_the_parts_make_up_the_search_split() -> None:
    evaluations = Inputs.open(RunConfig.load(ROOT / "run.yaml")).evaluations
    parts = [each for name, each in evaluations.items() if is_part(name)]
    whole = evaluations["search"]
    assert whole.requests == evaluations["trade"].requests  # of so few items, trials of the search see all
    assert len(parts) == len(PARTS)
    assert tuple(row for part in parts for row in part.rewards[0].rows) == whole.rewards[0].rows
    for name in whole.places:
        asked = [part.requests[place] for part in parts for place in part.places[name]]
        assert asked == [whole.requests[place] for place in whole.places[name]]
    sizes = [len(part.rewards[0].rows) for part in parts]
    assert sizes == [13, 13, 19, 32, 51]


def test_answers_to_a_part_are_found_among_those_to_the_whole(tmp_path: Path) -> None:
    evaluations, tokenizer = prepare(tmp_path, copies=100)
    engine = StandInEngine(tokenizer)
    whole = evaluations["search"]
    answers = whole.ask(engine)
    expected = whole.measure(answers, answers).items
    parts = [each for name, each in evaluations.items() if is_part(name)]
    measured = []
    for part in parts:
        found = part.answers_in(whole, answers)
        assert found.by_request == part.ask(engine).by_request
        measured.append(part.measure(found, found).items)
    items = joined(measured)
    assert items.keys() == expected.keys()
    assert all(np.array_equal(items[name], expected[name]) for name in items)


def test_a_source_with_few_items_leaves_no_parts(tmp_path: Path) -> None:
    assert prepare(tmp_path)[0].keys() == {"search", "report", "trade"}


def test_trials_of_the_search_see_the_first_third_of_many_items(tmp_path: Path) -> None:
    evaluations, tokenizer = prepare(tmp_path, copies=200)
    trade, search = evaluations["trade"], evaluations["search"]
    assert work.sizes(trade) == {"reward": 400, "facts": 400, "fr": 400, "more": 200, "again": 200}
    third, fewest = round(SEARCH_SHARE * 400), FEWEST_SEARCHED
    assert third > fewest > round(SEARCH_SHARE * 200)
    counts = {"reward": third, "facts": third, "fr": third, "more": fewest, "again": fewest}
    assert work.sizes(search) == counts
    assert search.rewards[0].rows == trade.rewards[0].rows[:third]
    # A fair draw, and not the beginning of the file.
    assert max(int(row.where.rpartition(" ")[2]) for row in search.rewards[0].rows) > 350
    engine = StandInEngine(tokenizer)
    answers = trade.ask(engine)
    whole = trade.measure(answers, answers).items
    found = search.answers_in(trade, answers)
    assert found.by_request == search.ask(engine).by_request
    alone, first = search.measure(found, found).items, work.items_in(search, whole)
    assert alone.keys() == first.keys() == whole.keys()
    assert all(np.array_equal(alone[name], first[name]) for name in alone)
    assert {name: len(first[name]) for name in counts} == counts
    report = evaluations["report"]
    assert work.sizes(report) == dict.fromkeys(counts, 200)  # nobody sees a part of these


def test_an_item_too_long_for_the_model_is_named_by_its_line(tmp_path: Path) -> None:
    long = tmp_path / "long.jsonl"
    rows = [{"prompt": f"say {i}", "answer": "oui"} for i in range(120)]
    rows[70]["prompt"] += " word" * 40
    long.write_text("".join(json.dumps(row) + "\n" for row in rows))
    probe = ExactProbe(name="fr", family="f", file=long, max_tokens=3)
    with pytest.raises(UserError, match=r"long.jsonl, line 71: .* need 46 tokens, and the model takes 30"):
        probes.prepare(probe, WordTokenizer(), 0.5, 30)


def test_the_tokens_of_items_add_up_to_those_of_all_requests(tmp_path: Path) -> None:
    evaluations, _ = prepare(tmp_path, copies=3)
    evaluation = evaluations["search"]
    sizes, tokens = work.sizes(evaluation), work.tokens_of_items(evaluation)
    assert sizes == {"reward": 6, "facts": 6, "fr": 6, "more": 3, "again": 3}
    asked = sum(work.read(request) + work.generated(request) for request in evaluation.requests)
    assert sum(tokens[name] * sizes[name] for name in sizes) == pytest.approx(asked)
    # Of two replies of four tokens to a prompt of some words, and of what two probes ask once, half each.
    assert tokens["reward"] == pytest.approx(8 + sum(len(r.prompt) for r in evaluation.rewards[0].requests) / 6)
    assert tokens["more"] == tokens["again"]


@pytest.mark.parametrize("spoilt", [[math.nan, -1.0], [-1.0, math.nan]])
def test_a_log_likelihood_that_is_nan_scores_nothing(tmp_path: Path, spoilt: list[float]) -> None:
    evaluation = prepare(tmp_path)[0]["search"]
    answers = [[-1.0, -2.0] if isinstance(request, Continuations) else [Reply("")] for request in evaluation.requests]
    sound = Answers(tuple(answers))
    evaluation.measure_probes(sound, sound)
    place = evaluation.places["facts"][-1]
    nan = Answers((*answers[:place], spoilt, *answers[place + 1 :]))
    for pair in ((nan, sound), (sound, nan)):
        with pytest.raises(ScorerError, match=r"NaN for a log-likelihood of the probe facts"):
            evaluation.measure_probes(*pair)


def test_what_is_wrong_with_several_sources_is_told_at_once(tmp_path: Path) -> None:
    prepare(tmp_path)
    for name in ("prompts-search", "facts-report", "fr-search"):
        (tmp_path / f"{name}.jsonl").unlink()
    config = config_in(tmp_path)
    with pytest.raises(UserError, match=r"^there are 3 mistakes\.\n") as caught:
        Evaluation.prepare(config, WordTokenizer(), None)
    lines = str(caught.value).splitlines()[1:]
    assert [
        name in line for name, line in zip(("prompts-search", "facts-report", "fr-search"), lines, strict=True)
    ] == [
        True,
        True,
        True,
    ]
