"""Task files for lm-evaluation-harness on the miniature's data, of every output type, that need no network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from ama_ray.config import TaskProbe
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.miniature import ROOT
from ama_ray.probes.lm_eval import loading
from ama_ray.probes.lm_eval.questions import GeneratedReply
from tests.support.replies import said

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.probes.lm_eval.probe import TaskItems

MEAN = {"aggregation": "mean", "higher_is_better": True}
FUNCTIONS = """
def process_results(doc, results):
    return {"near": helper(results[0], doc["answer"])}


def helper(reply, answer):
    return float(reply.split()[:1] == answer.split()[:1])


def fails(doc, results):
    raise ZeroDivisionError("no")
"""


def data(name: str) -> dict[str, str]:
    """Search and report items of the miniature as validation and test split."""
    return {
        split: str(ROOT / "data" / part / f"{name}.jsonl")
        for split, part in (("validation", "search"), ("test", "report"))
    }


def task_file(name: str, files: dict[str, str], output_type: str, **fields: Any) -> dict[str, Any]:
    """The fields of a task file; a split of the data is used for what it is named after."""
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "output_type": output_type,
        **{f"{split}_split": split for split in files if split in ("training", "validation", "test")},
        **fields,
    }


def tasks() -> list[dict[str, Any]]:
    """One or more of every output type."""
    choices = {"doc_to_text": "prompt", "doc_to_choice": "choices", "doc_to_target": "gold"}
    answers = {"doc_to_text": "prompt", "doc_to_target": "answer"}
    both = [{"metric": "acc", **MEAN}, {"metric": "acc_norm", **MEAN}]
    exact = [{"metric": "exact_match", **MEAN}]
    until = {"generation_kwargs": {"until": ["\n", " ="], "max_gen_toks": 10, "do_sample": False}}
    regex = {"function": "regex", "regex_pattern": "([0-9](?: [0-9])*)"}
    take = {"function": "take_first"}
    sums, facts = data("sums"), data("facts")
    return [
        task_file("mini_facts", facts, "multiple_choice", **choices, metric_list=both),
        task_file(
            "mini_shots",
            {"test": facts["test"], "training": facts["validation"]},
            "multiple_choice",
            **choices,
            metric_list=both,
            num_fewshot=2,
            fewshot_delimiter=" . ",
        ),
        task_file("mini_same", {"test": facts["test"]}, "multiple_choice", **choices, metric_list=both, num_fewshot=2),
        task_file("mini_one", {"validation": facts["test"]}, "multiple_choice", **choices, metric_list=both),
        task_file(
            "mini_sums",
            sums,
            "generate_until",
            **answers,
            metric_list=exact,
            **until,
            filter_list=[
                {"name": "digits", "filter": [regex, take]},
                {"name": "whole", "filter": [{"function": "remove_whitespace"}, take]},
            ],
        ),
        task_file(
            "mini_last",
            sums,
            "loglikelihood",
            doc_to_text="prompt",
            doc_to_target=" {{answer}}",
            metric_list=[{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}, *both[:1]],
        ),
        task_file(
            "mini_text",
            data("translation"),
            "loglikelihood_rolling",
            doc_to_text="",
            doc_to_target="{{prompt}} {{answer}}",
            metric_list=[
                {"metric": name, "aggregation": aggregation, "higher_is_better": False}
                for name, aggregation in (
                    ("word_perplexity", "weighted_perplexity"),
                    ("byte_perplexity", "weighted_perplexity"),
                    ("bits_per_byte", "bits_per_byte"),
                )
            ],
        ),
        task_file(
            "mini_translation",
            data("translation"),
            "generate_until",
            **answers,
            **until,
            metric_list=[{"metric": name, "aggregation": name, "higher_is_better": True} for name in ("bleu", "chrf")],
        ),
        task_file("mini_near", sums, "generate_until", **answers, **until, metric_list=[{"metric": "near", **MEAN}]),
    ]


def write_tasks(folder: Path, more: tuple[dict[str, Any], ...] = ()) -> Path:
    """Writes the task files, `mini_near` with a function of its own, and the group `mini_both`."""
    folder.mkdir(parents=True, exist_ok=True)
    for fields in (*tasks(), {"group": "mini_both", "task": ["mini_facts", "mini_one"]}, *more):
        # Strings with a tag are functions in these files.
        text = yaml.safe_dump(fields, sort_keys=False)
        if fields.get("task") == "mini_near":
            text += "process_results: !function own_functions.process_results\n"
        if fields.get("task") == "mini_fails":
            text += "process_results: !function own_functions.fails\n"
        (folder / f"{fields.get('task') if 'group' not in fields else fields['group']}.yaml").write_text(text)
    (folder / "own_functions.py").write_text(FUNCTIONS)
    return folder


def rows(file: str) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file."""
    with open(file) as lines:  # noqa: PTH123
        return [json.loads(line) for line in lines]


def probe(folder: Path, name: str, **more: Any) -> TaskProbe:
    """A probe of a task in a folder."""
    return TaskProbe(name="probe", family="family", task=name, include=folder, **more)


def loaded(folder: Path, tokenizer: Any, name: str, **more: Any) -> tuple[TaskItems, TaskItems]:
    """Its items on the search split and on the report split."""
    search, report = loading.load(probe(folder, name, **more), tokenizer, 0.5, 128)
    return search, report  # type: ignore[return-value]


def prompts(items: TaskItems) -> list[str]:
    """The first context of every document."""
    return [document.instances[0].args[0] for document in items.documents]


def answered(items: TaskItems, replies: dict[str, str] | None = None) -> list[Any]:
    """Answers that favour high token ids, or the replies by prompt."""
    asked = zip(items.questions, prompts(items), strict=bool(replies))
    by_request = {q.request: (replies or {}).get(prompt, "") for q, prompt in asked if isinstance(q, GeneratedReply)}
    answers: list[Any] = []
    for request in items.requests:
        match request:
            case Continuations():
                answers.append([-1000.0 / (1 + sum(c)) for c in request.continuations])
            case NextToken():
                answers.append({7: -0.1, 8: -2.0})
            case Generation():
                answers += said([[by_request[request]]])
    return answers
