"""What lm-evaluation-harness keeps for itself in its tasks, and a probe needs: instances, settings, filters and data.

`EngineLM` also overrides `TemplateLM._loglikelihood_tokens`, which the harness means to be overridden.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lm_eval.api.instance import Instance

_HEAVY = ("dataset", "task_docs", "sampler", "doc_iterator", "_training_docs", "_fewshot_docs", "_instances")
"""Attributes of a task that only the making of instances needs."""


def with_settings_of_its_own(task: Any) -> Any:
    """A copy of a task whose settings can be changed without those of the task."""
    task = copy.copy(task)
    task._config = copy.copy(task._config)
    return task


def with_instances(task: Any, instances: Sequence[Instance]) -> Any:
    """A copy of a task that has these instances, which its filters then go through."""
    task = copy.copy(task)
    task._instances = list(instances)
    return task


def without_data(task: Any) -> Any:
    """A copy of a task that can score and makes no instances any more: it is small enough to be sent about."""
    light = copy.copy(task)
    for attribute in _HEAVY:
        light.__dict__.pop(attribute, None)
    return light


def filter_names(task: Any) -> list[str]:
    """The names of the filters of a task, its first and default one in front."""
    return [each.name for each in task._filters]
