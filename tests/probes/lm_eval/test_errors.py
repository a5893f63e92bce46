"""Whatever is wrong with a task or its data ends in one sentence, before an engine starts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import transformers

from ama_ray.config import TaskProbe
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.probes.lm_eval import loading
from tests.support.lm_eval_tasks import MEAN, data, write_tasks
from tests.support.lm_eval_tasks import task_file as fields

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("lm_eval")

FACTS, SUMS = data("facts"), data("sums")
CHOICE = {"doc_to_text": "prompt", "doc_to_choice": "choices", "doc_to_target": "gold"}
ANSWER = {"doc_to_text": "prompt", "doc_to_target": "answer"}
GREEDY = {"until": ["\n"], "max_gen_toks": 8}
BAD = (
    fields("mini_lost", {"test": "/nowhere/data.jsonl"}, "multiple_choice", **CHOICE),
    fields("mini_empty", {"training": SUMS["test"]}, "generate_until", **ANSWER, generation_kwargs=GREEDY),
    fields("mini_sampled", SUMS, "generate_until", **ANSWER, generation_kwargs=GREEDY | {"do_sample": True}),
    fields("mini_beams", SUMS, "generate_until", **ANSWER, generation_kwargs=GREEDY | {"num_beams": 4}),
    fields("mini_long", SUMS, "generate_until", **ANSWER, generation_kwargs={"until": ["\n"]}),
    fields("mini_template", SUMS, "generate_until", **ANSWER | {"doc_to_text": "{{prompt + 1}}"}),
    fields("mini_unsafe", SUMS, "generate_until", **ANSWER, generation_kwargs=GREEDY, unsafe_code=True),
    fields(
        "mini_fails",
        SUMS,
        "generate_until",
        **ANSWER,
        generation_kwargs=GREEDY,
        metric_list=[{"metric": "near", **MEAN}],
    ),
    fields("mini_f1", FACTS, "multiple_choice", **CHOICE, metric_list=[{"metric": "f1"}, {"metric": "acc", **MEAN}]),
    fields("mini_few", {"test": FACTS["test"]}, "multiple_choice", **CHOICE, num_fewshot=400),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"), BAD)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(ROOT / "base")


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("mini_unknown", {}, "has no task 'mini_unknown' nor is there one in"),
        ("mini_lost", {}, "the task 'mini_lost' or its dataset cannot be loaded"),
        ("mini_empty", {}, "must have valid or test docs"),
        ("mini_sampled", {}, "its replies are sampled"),
        ("mini_beams", {}, "'num_beams' is not supported"),
        ("mini_long", {}, "may have 256 tokens, and the model takes 128"),
        ("mini_template", {}, "the task 'mini_template'"),
        ("mini_unsafe", {}, "runs code that the model writes"),
        ("mini_fails", {}, "the task mini_fails gave no near for its documents"),
        ("mini_f1", {}, r"the metric 'f1' of the task 'mini_f1' is neither a mean .* \(acc\)"),
        ("mini_few", {}, "cannot make its prompts|no documents left"),
        ("mini_facts", {"metric": "bleu"}, "the task 'mini_facts' has no metric 'bleu'; it has acc, acc_norm"),
        ("mini_sums", {"metric": "exact_match,last"}, "has no filter 'last'; it has digits, whole"),
        ("mini_facts", {"chat": True}, "no chat template"),
        ("mini_facts", {"include": "/nowhere"}, "/nowhere is no folder"),
    ],
)
def test_errors_are_one_sentence(folder: Path, tokenizer: Any, name: str, more: dict[str, Any], sentence: str) -> None:
    wrong = TaskProbe(name="probe", family="family", task=name, **({"include": folder} | more))
    with pytest.raises(UserError, match=sentence) as raised:
        loading.load(wrong, tokenizer, 0.5, 128)
    assert str(raised.value).startswith("probe: ")
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> None:
    from ama_ray.probes.lm_eval import tasks

    tasks._manager.cache_clear()
    tasks._tasks.cache_clear()
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(UserError, match=r"^probe: .*pip install 'ama_ray\[lm-eval\]'\.$"):
        loading.load(TaskProbe(name="probe", family="family", task="arc_easy"), tokenizer, 0.5)
