"""What a search prints: a live view on a terminal, else lines; or only the front; or JSON."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ama_ray.cli.console import console, say, show_front
from ama_ray.errors import UserError
from ama_ray.tuning.events import Message, RunOpened, StageStarted, TrialFinished, TrialStarted, lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.run import StoredRun
    from ama_ray.tuning.events import Event, Listener


@contextmanager
def listener(*, quiet: bool, as_json: bool) -> Iterator[Listener | None]:
    """Who listens to a search, while it runs.

    Raises:
        UserError: Both are asked for.
    """
    if quiet and as_json:
        raise UserError("--quiet and --json exclude each other; leave one of them out.")
    if quiet:
        yield None
    elif as_json:
        yield _print_json
    elif console.is_terminal and not console.is_dumb_terminal:
        from ama_ray.live import LiveView

        with LiveView(console) as view:
            yield view.hear
    else:
        yield lines(say)


def show_end(run: StoredRun, *, quiet: bool, as_json: bool) -> None:
    """Prints the front that a search ended with, and unless it is to be quiet, what is next; on a terminal a menu.

    Raises:
        typer.Exit: The search went on from the menu, and ended with this exit code.
    """
    if not as_json:
        show_front(run)
        if not quiet:
            from ama_ray.cli import menu
            from ama_ray.pareto.named_points import knee
            from ama_ray.report.text.next_steps import next_steps, shown_folder

            for step, why in next_steps(run):
                say(f"  {step}    # {why}")
            if menu.possible() and not run.stopping_test and knee(run.pareto):
                menu.offer(run, shown_folder(run))
        return
    from ama_ray.report.json_fields import front_fields

    print(json.dumps({"event": "front"} | front_fields(run)), flush=True)


def _print_json(event: Event) -> None:
    if fields := event_fields(event):
        print(json.dumps(fields), flush=True)


def event_fields(event: Event) -> dict[str, Any]:
    """An event as plain values; empty where it is none to print."""
    if isinstance(event, Message):
        return {"event": "said", "line": event.line}
    if isinstance(event, StageStarted):
        return {"event": "doing", "what": event.what}
    if isinstance(event, RunOpened):
        config, earlier = event.config, len(event.earlier.searched)
        return {"event": "opened", "out": str(config.out), "trials": config.trials, "earlier": earlier}
    if isinstance(event, TrialStarted):
        return {"event": "started", "number": event.number, "split": event.split}
    if isinstance(event, TrialFinished):
        return _finished(event)
    return {}


def _finished(event: TrialFinished) -> dict[str, Any]:
    from ama_ray.report.json_fields import trial_fields, value_or_null

    volumes = {"hypervolume": value_or_null(event.so_far.hypervolume)} if event.so_far else {}
    work = {"engines": event.engines, "nodes": event.nodes, "seconds": dict(event.trial.seconds)}
    return {"event": "finished", "line": event.line} | trial_fields(event.trial) | volumes | work
