"""`TaskItems`: documents of tasks as items, their questions answered by an engine, scored by the tasks themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ama_ray.errors import one_line
from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.lm_eval.lm_eval_internals import with_instances
from ama_ray.probes.lm_eval.questions import Known
from ama_ray.rewards.base import ScorerError
from ama_ray.scores.sacrebleu_internals import segment_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ama_ray.probes.lm_eval.documents import Document
    from ama_ray.probes.lm_eval.questions import Question


@dataclass(frozen=True)
class Scoring:
    """Which of a task's numbers is the score.

    Attributes:
        metric: Of the task.
        filter: The name of the filter that responses go through before.
        aggregation: The name of what makes one number of the documents', in lm-evaluation-harness.
    """

    metric: str
    filter: str
    aggregation: str


def _segment(name: Literal["bleu", "chrf"], value: Any) -> tuple[float, ...]:
    """What sacrebleu sums up of a pair of reference (or several) and reply."""
    references, reply = value
    references = [references] if isinstance(references, str) else references
    (sums,) = segment_sums(name, [reply], [[each] for each in references])
    return tuple(sums)


STATISTICS: dict[str, tuple[str, Callable[[Any], tuple[float, ...]]]] = {
    "mean": ("mean", lambda value: (float(value),)),
    "perplexity": ("perplexity", lambda value: (-float(value), 1.0)),
    "weighted_perplexity": ("perplexity", lambda value: (-float(value[0]), float(value[1]))),
    "bits_per_byte": ("bits-per-byte", lambda value: (-float(value[0]), float(value[1]))),
    "bleu": ("bleu", partial(_segment, "bleu")),
    "chrf": ("chrf", partial(_segment, "chrf")),
}
"""By aggregation: a metric of ours (`ama_ray.scores.metrics.METRICS`), and what it sums up for a document's value.

BLEU and chrF are from 0 to 1 here, where lm-evaluation-harness has them from 0 to 100."""


@dataclass(frozen=True)
class TaskItems(PreparedProbe):
    """A task probe.

    Attributes:
        documents: The items; those of one task stand together.
        questions: One per instance, in the order of the documents and their instances.
        scoring: What is read from the tasks' results.
    """

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    scoring: Scoring

    @property
    def count(self) -> int:
        """The number of items."""
        return len(self.documents)

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """What the task's metric sums up for every document.

        Raises:
            ScorerError: A task failed on the responses, or gave something that is not a number.
        """
        known = Known.of(self.requests, answers)
        return self.measure([question.response(known) for question in self.questions])

    def measure(self, responses: Sequence[Any]) -> NDArray[np.float64]:
        """The same from one response per question, in the form that the LM interface promises.

        Raises:
            ScorerError: A task failed on the responses, or gave something that is not a number.
        """
        rest = iter(responses)
        rows = []
        for _, documents in groupby(self.documents, key=lambda document: id(document.task)):
            answered = [
                replace(
                    document,
                    instances=tuple(
                        replace(instance, resps=[next(rest)] * instance.repeats, filtered_resps={})
                        for instance in document.instances
                    ),
                )
                for document in documents
            ]
            try:
                rows += _processed(answered, self.scoring)
            except Exception as error:  # filters and metrics of a task file are code
                name = answered[0].task.config.task
                raise ScorerError(
                    f"the task {name} gave no {self.scoring.metric} for its documents ({one_line(error)})"
                ) from error
        array = np.array(rows, dtype=np.float64)
        if not np.isfinite(array).all():
            raise ScorerError(f"the metric {self.scoring.metric} of a task is not a finite number for every document")
        return array


def _processed(documents: Sequence[Document], scoring: Scoring) -> list[tuple[float, ...]]:
    """The statistics of documents of one task, whose instances have their responses."""
    instances = [instance for document in documents for instance in document.instances]
    task = with_instances(documents[0].task, instances)
    task.apply_filters()
    rows = []
    for document in documents:
        filtered = [instance.filtered_resps[scoring.filter] for instance in document.instances]
        results = task.process_results(document.instances[0].doc, filtered)
        rows.append(STATISTICS[scoring.aggregation][1](results[scoring.metric]))
    return rows
