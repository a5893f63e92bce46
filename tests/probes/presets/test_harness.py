"""Presets against lm-evaluation-harness: its own task objects, on the same documents, ask and score the same.

Nothing is downloaded: each task gets its documents from the test.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from ama_ray.data.rows import Row
from ama_ray.probes.choice import Choice
from ama_ray.probes.generated import GeneratedKind
from ama_ray.probes.letter import Letter
from ama_ray.probes.presets.registry import PRESETS
from tests.support.preset_rows import FILES, HUB_ROWS, real_file

lm_eval_tasks = pytest.importorskip("lm_eval.tasks", reason="lm-eval is not installed")
datasets = pytest.importorskip("datasets")

TASKS = {
    "arc_easy": ("arc", "arc_easy"),
    "arc_challenge": ("arc", "arc_challenge"),
    "openbookqa": ("openbookqa", "openbookqa"),
    "race": ("race", "race"),
    "piqa": ("piqa", "piqa"),
    "boolq": ("super_glue", "boolq"),
    "copa": ("super_glue", "copa"),
    "squad": ("squadv2", "squadv2"),
    "drop": ("drop", "drop"),
    "wmt14_fr_en": ("translation", "wmt14-fr-en"),
    "hellaswag": ("hellaswag", "hellaswag"),
    "winogrande": ("winogrande", "winogrande"),
    "mmlu": ("mmlu", "mmlu_high_school_physics"),
    "gsm8k": ("gsm8k", "gsm8k"),
    "truthfulqa_mc": ("truthfulqa", "truthfulqa_mc1"),
}
"""By preset: the harness's folder and task."""
CHOICES = [name for name in TASKS if isinstance(PRESETS[name].kind, Choice)]
LIMIT_OF_HARNESS = 256
DOCUMENTS_OF_REAL_FILES = 300


@cache
def manager(folder: str) -> Any:
    return lm_eval_tasks.TaskManager(
        include_path=str(Path(lm_eval_tasks.__file__).parent / folder), include_defaults=False
    )


def task_of(
    name: str,
    documents: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    examples: list[dict[str, Any]] | None = None,
) -> Any:
    """The harness's task with these documents in all of its splits, and examples of MMLU in the one for them."""
    split = datasets.Dataset.from_list(documents)
    splits = datasets.DatasetDict(dict.fromkeys(("train", "validation", "test", "dev"), split))
    splits["dev"] = datasets.Dataset.from_list(examples or documents)
    from lm_eval.api.task import ConfigurableTask

    monkeypatch.setattr(ConfigurableTask, "download", lambda self, *_, **__: setattr(self, "dataset", splits))
    folder, task = TASKS[name]
    return manager(folder).load(task)["tasks"][task]


def hub_documents(name: str) -> list[dict[str, Any]]:
    """Made-up rows as the harness's dataset has them: of RACE, all questions on an article in one."""
    rows = HUB_ROWS[name]
    if name != "race":
        return rows
    return [
        {
            "article": article,
            "problems": str([{key: row[key] for key in ("question", "options", "answer")} for row in of]),
        }
        for article, of in groupby(rows, key=lambda row: str(row["article"]))
    ]


def asked(task: Any, examples: int = 0) -> list[tuple[Any, list[Any]]]:
    """Documents of a task, each with the arguments of the harness's requests."""
    pairs = []
    for document in task.eval_docs:
        context = task.fewshot_context(document, examples)
        instances = task.construct_requests(document, context, metadata=("", 0, 1))
        instances = instances if isinstance(instances, list) else [instances]
        pairs.append((document, [instance.arguments for instance in instances]))
    return pairs


def expected_of(name: str, item: Row) -> list[Any]:
    """What the engine is shown for an item of ours, as the harness's requests have it."""
    kind, fields = PRESETS[name].kind, item.fields
    if isinstance(kind, Choice) and "prompts" in fields:
        return [(prompt, kind.delimiter + fields["continuation"]) for prompt in fields["prompts"]]
    if isinstance(kind, Choice):
        return [(fields["prompt"], kind.delimiter + choice) for choice in fields["choices"]]
    assert isinstance(kind, Letter)
    return [(fields["prompt"], kind.delimiter + letter) for letter in "ABCD"]


def real_documents(name: str) -> tuple[list[Row], list[dict[str, Any]]]:
    """Our first items of a real file, and the documents in the hub's form that they were made from."""
    preset = PRESETS[name]
    rows = preset.read(real_file(name))
    form = next(form for form in preset.forms if all(field in rows[0].fields for field in form.fields))
    documents = [row.fields for row in form.documents(rows)]
    step = max(1, len(documents) // DOCUMENTS_OF_REAL_FILES)
    return preset.items(rows)[::step], documents[::step]


@pytest.mark.parametrize("name", [*CHOICES, "mmlu"])
def test_prompts_and_choices_are_the_harness_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    items = PRESETS[name].items([Row(row, "") for row in HUB_ROWS[name]])
    task = task_of(name, hub_documents(name), monkeypatch)
    assert [expected_of(name, item) for item in items] == [requests for _, requests in asked(task)]


@pytest.mark.parametrize("name", [*CHOICES, "mmlu"])
def test_gold_is_the_harness_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    items = PRESETS[name].items([Row(row, "") for row in HUB_ROWS[name]])
    task = task_of(name, hub_documents(name), monkeypatch)
    for item, (document, requests) in zip(items, asked(task), strict=True):
        for likeliest in range(len(requests)):
            answers = [(0.0 if choice == likeliest else -100.0, False) for choice in range(len(requests))]
            assert task.process_results(document, answers)["acc"] == (likeliest == item.fields["gold"])


@pytest.mark.parametrize("name", [name for name in FILES if name in CHOICES and name not in ("winogrande",)])
def test_real_items_are_worded_as_the_harness_words_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    items, documents = real_documents(name)
    task = task_of(name, documents, monkeypatch)
    assert [expected_of(name, item) for item in items] == [requests for _, requests in asked(task)]


@pytest.mark.parametrize("name", ["squad", "drop", "wmt14_fr_en", "gsm8k"])
def test_generated_prompts_and_stop_strings_are_the_harness_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    items, documents = real_documents(name)
    kind = PRESETS[name].kind
    assert isinstance(kind, GeneratedKind)
    if name == "drop":
        documents = [
            {"query_id": "", "validated_answers": {"number": [], "date": [], "spans": []}} | d for d in documents
        ]
        for document in documents:
            document["answer"] = document["answer"] | {"date": {"day": "", "month": "", "year": ""}}
    for item, (_, requests) in zip(items, asked(task_of(name, documents, monkeypatch)), strict=True):
        context, settings = requests[0]
        assert item.fields["prompt"] == context
        assert list(kind.stop) == settings["until"]
        assert kind.max_tokens == settings.get("max_gen_toks", LIMIT_OF_HARNESS)


@pytest.mark.parametrize("name", ["squad", "wmt14_fr_en", "gsm8k"])
def test_generated_answers_are_the_harness_s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    items = PRESETS[name].items([Row(row, "") for row in HUB_ROWS[name]])
    task = task_of(name, HUB_ROWS[name], monkeypatch)
    for item, document in zip(items, task.eval_docs, strict=True):
        answer = item.fields["answer"]
        assert task.doc_to_target(document).strip() == (answer if isinstance(answer, str) else answer[0])


def test_answers_of_drop_are_the_harness_s(monkeypatch: pytest.MonkeyPatch) -> None:
    items = PRESETS["drop"].items([Row(row, "") for row in HUB_ROWS["drop"]])
    task = task_of("drop", HUB_ROWS["drop"], monkeypatch)
    for item, document in zip(items, task.eval_docs, strict=True):
        ours = [answer if isinstance(answer, list) else [answer] for answer in item.fields["answer"]]
        assert ours == [list(answer) for answer in document["answers"]]


def test_examples_of_mmlu_are_the_harness_s(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = PRESETS["mmlu"]
    assert preset.in_front is not None
    dev = [row | {"question": f"Example: {row['question']}"} for row in HUB_ROWS["mmlu"]]
    task = task_of("mmlu", HUB_ROWS["mmlu"], monkeypatch, dev)
    items = preset.items([Row(row, "") for row in HUB_ROWS["mmlu"]])
    shown = preset.in_front(items, preset.items([Row(row, "") for row in dev]), 3)
    assert [expected_of("mmlu", item) for item in shown] == [requests for _, requests in asked(task, examples=3)]


def test_subjects_of_mmlu_are_named_as_the_harness_names_them() -> None:
    tasks = manager("mmlu").task_index
    rows = PRESETS["mmlu"].read(real_file("mmlu"))
    subjects = sorted({row.fields["subject"] for row in rows})
    assert len(subjects) == 57
    for subject in subjects:
        file = Path(lm_eval_tasks.__file__).parent / "mmlu" / "default" / f"mmlu_{subject}.yaml"
        description = yaml.safe_load(file.read_text(encoding="utf-8"))["description"]
        row = next(row for row in rows if row.fields["subject"] == subject)
        assert PRESETS["mmlu"].items([row])[0].fields["prompt"].startswith(description)
        assert f"mmlu_{subject}" in tasks
