"""The events that a search sends while it runs, and the lines that are made of them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ama_ray.config import RunConfig, Split
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

    Listener = Callable[["Event"], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """A line of text for whoever watches."""

    line: str


@dataclass(frozen=True)
class StageStarted:
    """A step before the first trial has begun; it lasts until the next one or the first trial."""

    what: str


@dataclass(frozen=True)
class RunOpened:
    """The run file is in order.

    Attributes:
        config: The run file.
        earlier: The run with what an earlier process finished.
    """

    config: RunConfig
    earlier: StoredRun


@dataclass(frozen=True)
class TrialStarted:
    """A trial has an engine."""

    number: int
    split: Split


@dataclass(frozen=True)
class TrialFinished:
    """A trial ended: complete, stopped or failed.

    Attributes:
        trial: The trial, seen on the split it was scored on.
        line: A line of text about it.
        so_far: The front of the search with this trial; None after a trial on the report split.
        engines: How many engines there is room for now.
        nodes: How many nodes are alive now.
        seconds: Seconds that all trials of this process took, by stage.
    """

    trial: Trial
    line: str
    so_far: ParetoSet | None
    engines: int
    nodes: int
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class StopRequested:
    """A signal asked the search to end. This comes from a signal's handler: a listener must not print."""


Event = Message | StageStarted | RunOpened | TrialStarted | TrialFinished | StopRequested


class EventEmitter:
    """Sends events to one listener and to the log. Called with a line of text, it sends that as a `Message`."""

    def __init__(self, listen: Listener | None) -> None:
        """Makes an emitter; without a listener, only the log gets the events."""
        self._listen = listen

    def __call__(self, line: str) -> None:
        """Sends a line of text."""
        self.send(Message(line))

    def send(self, event: Event) -> None:
        """Sends an event."""
        match event:  # a `StopRequested` comes from a signal's handler, where a file must not be written
            case Message(line) | TrialFinished(line=line):
                _log.info(line)
            case StageStarted(what):
                _log.info(what)
        if self._listen:
            self._listen(event)


def lines(say: Callable[[str], None]) -> Listener:
    """Makes a listener that passes on the lines of text, and no other events."""

    def listen(event: Event) -> None:
        if isinstance(event, Message | TrialFinished):
            say(event.line)

    return listen


def trial_line(trial: Trial, trials: int, volume: float) -> str:
    """Makes the line of text about a trial that ended.

    Args:
        trial: The trial, seen on the split it was scored on.
        trials: How many trials the search has in all.
        volume: The hypervolume of the search so far; NaN where it is not known, or nothing has changed.
    """
    won = "" if math.isnan(volume) else f"; hypervolume {volume:.3f}"
    if trial.state == "stopped":
        scores = ", ".join(f"{name} about {each.value:.3f}" for name, each in trial.objectives.items())
        return f"trial {trial.number} of {trials} (sampler): stopped early, {scores}{won}"
    which = f"trial {trial.number} of {trials}" if trial.split == "search" else f"report: trial {trial.number}"
    if not trial.scores:
        return f"{which} failed: {trial.reason}"
    scores = ", ".join(f"{name} {each.value:.3f} ± {each.se:.3f}" for name, each in trial.objectives.items())
    return f"{which} ({trial.origin}): {scores}{won}"
