"""The documents of a probe's tasks with their instances, divided into the search split and the report split."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.data import splits
from ama_ray.data.rows import Row
from ama_ray.data.splits import Splits
from ama_ray.errors import UserError, one_line
from ama_ray.probes.lm_eval.lm_eval_internals import with_settings_of_its_own, without_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lm_eval.api.instance import Instance

    from ama_ray.config import TaskProbe
    from ama_ray.probes.lm_eval.engine_lm import EngineLM

FEW_SHOT_SEED = 1234
"""The default of lm-evaluation-harness, so that examples are those of its own runs."""


@dataclass(frozen=True)
class Document:
    """One document of a task with what it asks.

    Attributes:
        task: The task that it is of, without data.
        instances: In the order in which the task wants their responses.
    """

    task: Any
    instances: tuple[Instance, ...]


def search_split(task: Any) -> str:
    """The name of the dataset's split that the search items of a task come from."""
    return _evaluation_splits(task)[0][0]


def divided(probe: TaskProbe, tasks: Sequence[Any], share: float, lm: EngineLM) -> Splits:
    """Makes the instances of all documents and divides them.

    A task with validation and test documents has the former as search items and the latter as report items; others are
    divided by a fixed hash. Few-shot examples are never items: lm-evaluation-harness's own choice stands where its
    examples come from other documents, and else a few documents are set aside for them.

    Args:
        probe: The probe of the run file.
        tasks: The tasks of the probe.
        share: How many of the items go to the report split, where the task has one split for both (0-1).
        lm: It has the chat template.

    Returns:
        Rows with a field `document`.

    Raises:
        UserError: A task has no documents, or too few of them, or its prompts cannot be made.
    """
    halves = Splits((), ())
    undivided: list[Row] = []
    for task in tasks:
        parts = _rows(probe, task, lm)
        if len(parts) == 1:
            undivided += parts[0]
        else:
            halves = Splits((*halves.search, *parts[0]), (*halves.report, *parts[1]))
    if undivided:
        more = splits.divide(undivided, share, _question)
        halves = Splits(halves.search + more.search, halves.report + more.report)
    # The splits of many datasets share a few documents.
    reported = {_question(row) for row in halves.report}
    search = [row for row in halves.search if _question(row) not in reported]
    return Splits(*(splits.limit(rows, probe.items, _question) for rows in (search, halves.report)))


def _question(row: Row) -> str:
    return str(row.fields["question"])


def _rows(probe: TaskProbe, task: Any, lm: EngineLM) -> list[list[Row]]:
    """The documents of each split of a task as rows."""
    name = task.config.task
    found = _evaluation_splits(task)
    task = with_settings_of_its_own(task)
    shots = task.config.num_fewshot or 0 if probe.few_shot is None else probe.few_shot
    task.set_config("num_fewshot", shots)
    try:
        parts = [list(documents()) for _, documents in found]
        if shots:
            parts = _with_examples(task, shots, parts)
        instances = [_instances(task, documents, lm, probe.chat) for documents in parts]
        questions = [[_asked(task, document) for document in documents] for documents in parts]
    except UserError:
        raise
    except Exception as error:  # the templates and functions of a task file are code
        raise UserError(f"the task {name!r} cannot make its prompts ({one_line(error)}); check its file") from error
    light = without_data(task)
    return [
        [
            Row({"question": question, "document": Document(light, of_one)}, f"{name}, document {number}")
            for number, (question, of_one) in enumerate(zip(asked, made, strict=True))
        ]
        for asked, made in zip(questions, instances, strict=True)
    ]


def _evaluation_splits(task: Any) -> list[tuple[str, Callable[[], Any]]]:
    """A task's validation and test splits, in this order and as far as there are two: name, and how to read it."""
    found: dict[str, Callable[[], Any]] = {}
    if task.has_validation_docs():
        found[task.get_config("validation_split") or "validation"] = task.validation_docs
    if task.has_test_docs():
        found[task.get_config("test_split") or "test"] = task.test_docs
    return list(found.items())


def _with_examples(task: Any, shots: int, parts: list[list[Any]]) -> list[list[Any]]:
    """Sees to it that no item is an example, by taking items from the examples or examples from the items."""
    sampler = getattr(task, "sampler", None)
    if sampler is None:
        raise UserError(f"the task {task.config.task!r} draws its examples in a way of its own; set `few_shot: 0`")
    items = {_key(document) for documents in parts for document in documents}
    pool = list(sampler.df)
    free = [document for document in pool if _key(document) not in items]
    if len(free) < len(pool):
        if len(free) <= shots:
            # One more than is shown: samplers draw so many, to leave out the document itself.
            rows = [Row({"question": _key(document), "document": document}, "") for document in pool]
            free = [row.fields["document"] for row in splits.limit(rows, shots + 1, _question)]
        task.sampler = copy.copy(sampler).replace_df(free)
    shown = {_key(document) for document in free}
    return [[document for document in documents if _key(document) not in shown] for documents in parts]


def _key(document: Any) -> str:
    return json.dumps(document, sort_keys=True, default=str)


def _asked(task: Any, document: Any) -> str:
    """What tells documents apart: the text and the choices that are shown, or all of it where nothing is."""
    text = task.doc_to_text(document)
    choices = task.doc_to_choice(document) if task.get_config("doc_to_choice") is not None else None
    return _key([part for part in (text, choices) if part and isinstance(part, str | list)] or document)


def _instances(task: Any, documents: list[Any], lm: EngineLM, chat: bool) -> list[tuple[Instance, ...]]:
    if not documents:
        raise UserError(f"the task {task.config.task!r} has no documents left to be items; use fewer examples")
    task.set_fewshot_seed(FEW_SHOT_SEED)
    # Else it takes the test documents, where there are any.
    task.doc_iterator = lambda **_: enumerate(documents)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        task.build_all_requests(
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
            chat_template=lm.apply_chat_template if chat else None,
        )
    made: list[list[Instance]] = [[] for _ in documents]
    for instance in task.instances:
        made[instance.doc_id].append(instance)
    return [tuple(sorted(of_one, key=lambda instance: instance.idx)) for of_one in made]
