"""`task`: tasks of lm-evaluation-harness, and the user's own task files, as probes.

A group or a tag is one probe over the documents of all its tasks, each document with the same weight.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.data import splits
from ama_ray.errors import UserError
from ama_ray.probes.lm_eval.documents import divided, search_split
from ama_ray.probes.lm_eval.lm_eval_internals import filter_names
from ama_ray.probes.lm_eval.probe import STATISTICS, Scoring, TaskItems
from ama_ray.probes.lm_eval.questions import GeneratedReply, Likelihood, Rolling, requests_of
from ama_ray.probes.lm_eval.tasks import tasks_of
from ama_ray.rewards.base import ScorerError
from ama_ray.scores.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.config import TaskProbe
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.data.rows import Row
    from ama_ray.probes.base import PreparedProbe
    from ama_ray.probes.lm_eval.questions import Question

__all__ = ["load", "metric", "uses_test_split"]


def load(
    probe: TaskProbe, tokenizer: Tokenizer, share: float, context_limit: int | None = None
) -> tuple[PreparedProbe, PreparedProbe]:
    """Reads, checks and tokenises a task probe; done once per run.

    Args:
        probe: The probe of the run file.
        tokenizer: The tokenizer of the pair.
        share: How many of the items go to the report split, where the task has one split for both (0-1).
        context_limit: Most tokens the model takes; longer contexts lose their start, as in lm-evaluation-harness.

    Returns:
        The probe on the search split and on the report split.

    Raises:
        UserError: The task, its data or its metric is missing, or it wants what a probe cannot give.
    """
    with _named(probe):
        tasks = tasks_of(probe)
        # It imports lm_eval, whose absence `tasks_of` explains.
        from ama_ray.probes.lm_eval.engine_lm import EngineLM

        notebook: list[Question] = []

        def write_down(questions: Sequence[Question]) -> list[Any]:
            notebook.extend(questions)
            return [None] * len(questions)

        lm = EngineLM(tokenizer, write_down, context_limit, probe)
        scoring = _scoring(probe, tasks)

        def prepared(rows: Sequence[Row]) -> TaskItems:
            documents = tuple(row.fields["document"] for row in rows)
            instances = [instance for document in documents for instance in document.instances]
            questions: dict[int, Question] = {}
            for sort in dict.fromkeys(instance.request_type for instance in instances):
                places = [i for i, instance in enumerate(instances) if instance.request_type == sort]
                notebook.clear()
                getattr(lm, sort)([instances[i] for i in places], disable_tqdm=True)
                questions |= zip(places, notebook, strict=True)
            return _rehearsed(
                TaskItems(probe.name, (), documents, tuple(questions[i] for i in range(len(instances))), scoring)
            )

        halves = divided(probe, tasks, share, lm)
        return prepared(halves.search), prepared(halves.report)


def metric(probe: TaskProbe) -> str:
    """The name in `ama_ray.scores.metrics.METRICS` of the metric that the task's own one is.

    Raises:
        UserError: The task has no such metric, or it is no function of sums over documents.
    """
    with _named(probe):
        return STATISTICS[_scoring(probe, tasks_of(probe)).aggregation][0]


def uses_test_split(probe: TaskProbe) -> bool:
    """Whether the search items come from a split of the dataset that is named after tests.

    Raises:
        UserError: The task or its data are missing.
    """
    with _named(probe):
        return any(splits.is_test_split(search_split(task)) for task in tasks_of(probe))


def _scoring(probe: TaskProbe, tasks: Sequence[Any]) -> Scoring:
    """What is read from the results of the tasks: `metric` as in the run file, or `metric,filter`."""
    wanted, _, chosen = (probe.metric or next(iter(tasks[0].aggregation()))).partition(",")
    filters = filter_names(tasks[0])
    if chosen and chosen not in filters:
        raise UserError(f"the task {probe.task!r} has no filter {chosen!r}; it has {', '.join(filters)}")
    aggregations: set[str] = set()
    for task in tasks:
        by_metric = {name: _aggregation(task, name) for name in task.aggregation()}
        if wanted not in by_metric:
            raise UserError(f"the task {task.config.task!r} has no metric {wanted!r}; it has {', '.join(by_metric)}")
        aggregation = by_metric[wanted]
        if aggregation is None:
            usable = [name for name, known in by_metric.items() if known]
            raise UserError(
                f"the metric {wanted!r} of the task {task.config.task!r} is neither a mean over documents that is "
                "better when higher, nor a perplexity, BLEU or chrF; choose another with `metric` "
                f"({', '.join(usable) or 'it has none'})"
            )
        aggregations.add(aggregation)
    if len(aggregations) > 1:
        raise UserError(f"the tasks of {probe.task!r} make their {wanted} in different ways; name one of the tasks")
    return Scoring(wanted, chosen or filters[0], aggregations.pop())


def _aggregation(task: Any, name: str) -> str | None:
    """The name of a metric's aggregation, where one of our metrics is the same."""
    from lm_eval.api.registry import get_aggregation

    function, higher = task.aggregation()[name], task.higher_is_better().get(name, True)
    same = (known for known in STATISTICS if get_aggregation(known) is function)
    known = next(same, None)
    return known if known and METRICS[STATISTICS[known][0]].higher_is_better == higher else None


def _rehearsed(items: TaskItems) -> TaskItems:
    """The items with their requests, once made-up responses have shown what is needed, and that the tasks score it.

    Raises:
        ScorerError: They do not.
    """
    likely, unlikely = (items.measure(_made_up(items.questions, greedy)) for greedy in (True, False))
    if np.array_equal(likely, unlikely):
        # The score does not depend on whether the greedy reply would be the continuation, which is dear to ask.
        questions = (replace(each, greedy=False) if isinstance(each, Likelihood) else each for each in items.questions)
        items = replace(items, questions=tuple(questions))
    return replace(items, requests=requests_of(items.questions))


def _made_up(questions: Sequence[Question], greedy: bool) -> list[Any]:
    generator = np.random.default_rng(0)
    responses: list[Any] = []
    for question in questions:
        score = -float(generator.exponential())
        match question:
            case Likelihood():
                responses.append((score, greedy))
            case Rolling():
                responses.append(score)
            case GeneratedReply():
                responses.append("")
    return responses


@contextmanager
def _named(probe: TaskProbe) -> Iterator[None]:
    """Puts the probe's name in front of errors."""
    try:
        yield
    except (UserError, ScorerError) as error:
        raise UserError(f"{probe.name}: {str(error).removesuffix('.')}.") from error
