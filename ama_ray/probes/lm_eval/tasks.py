"""Finding the tasks of lm-evaluation-harness that a probe names, and reading their data."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.config import TaskProbe

Stamps = tuple[tuple["Path", int], ...]
"""Of files, when they were last changed, so that what was read of older ones is not taken."""

INSTALL = "pip install 'ama_ray[lm-eval]'"


def tasks_of(probe: TaskProbe) -> tuple[Any, ...]:
    """The tasks of a probe, with their data: one, or those of a group or tag.

    They are shared by all callers and must not be changed.

    Raises:
        UserError: lm-evaluation-harness is not installed, there is no such task or folder, its data cannot be read, or
            it is of a sort that cannot be a probe.
    """
    include = probe.include
    if include is not None and not include.is_dir():
        raise UserError(f"{include} is no folder; `include` names the folder with your task files")
    files = sorted(include.rglob("*")) if include else []
    stamps = tuple((file, file.stat().st_mtime_ns) for file in files if file.is_file())
    return _tasks(probe.task, include, stamps)


@functools.cache
def _manager(include: Path | None, stamps: Stamps, *, defaults: bool = True) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise UserError(f"a task needs lm-evaluation-harness; install it with {INSTALL}") from None
    return TaskManager(include_path=str(include) if include else None, include_defaults=defaults)


@functools.cache
def _tasks(name: str, include: Path | None, stamps: Stamps) -> tuple[Any, ...]:
    # Their own task files are thousands, and take seconds to read.
    manager = _manager(include, stamps, defaults=False)
    if name not in manager.all_subtasks:
        manager = _manager(include, stamps)
    if name not in manager.task_index:
        where = f" nor is there one in {include}" if include else ""
        raise UserError(
            f"lm-evaluation-harness has no task {name!r}{where}; `lm-eval ls tasks` lists its own, and `include` names "
            "a folder with yours"
        )
    try:
        tasks = tuple(manager.load([name])["tasks"].values())
    except Exception as error:  # a task file runs code of its own, and its data come over the network
        raise UserError(
            f"the task {name!r} or its dataset cannot be loaded ({one_line(error)}); check the task file, the network "
            "and HF_HUB_OFFLINE"
        ) from error
    finally:
        _forget_modules(include)
    for task in tasks:
        if getattr(task, "UNSAFE_CODE", False):
            raise UserError(f"the task {name!r} runs code that the model writes, which no trial should; choose another")
        if getattr(task, "MULTIMODAL", False):
            raise UserError(f"the task {name!r} shows images or sounds to the model; choose one of text alone")
    return tasks


def _forget_modules(include: Path | None) -> None:
    """Makes the functions of the user's task files travel to other processes by value.

    lm-evaluation-harness registers the modules beside task files by their path, and pickle takes what is registered
    for importable everywhere.
    """
    if include is None:
        return
    folder = str(include.resolve())
    for module in [module for module in sys.modules if module.startswith(folder)]:
        del sys.modules[module]
