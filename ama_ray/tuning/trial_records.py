"""`TrialSpec` and `TrialResult`: what travels between searcher, trial actors, stoppers and recorder.

Tune takes a trial's configuration and its results as dicts; the methods here make those, and turn them back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ama_ray.scores.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.config import Evaluated, Split
    from ama_ray.scores.objectives import Items
    from ama_ray.scores.trial import KeptReply, Origin, Scores, State

_RECORD = "trial_result"
"""The key of a Tune result that holds the `TrialResult`."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial that is to run.

    Attributes:
        number: Its position in the run, from 0.
        origin: Where its ratios are from.
        ratios: The share of the aligned model for every group.
        split: The split to score it on.
        attempt: Counts how often the trial was handed out, from 1; it is handed out again where its engine died.
    """

    number: int
    origin: Origin
    ratios: dict[str, float]
    split: Split = "search"
    attempt: int = 1

    @property
    def asks(self) -> Evaluated:
        """Which items are asked: base and aligned, which are tested for a trade, are asked all of the search split."""
        is_end = Trial(self.number, "complete", self.origin, self.ratios).is_end
        return "trade" if is_end and self.split == "search" else self.split

    def to_config(self) -> dict[str, Any]:
        """Makes the configuration of a Tune trial, whose values trackers log as parameters."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrialSpec:
        """Reads the configuration of a Tune trial."""
        return cls(**{each.name: config[each.name] for each in fields(cls)})


@dataclass(frozen=True)
class TrialResult:
    """What a trial has come to, after each of its steps.

    Tune formats all results for logs that nobody reads; arrays, which take long, are in no `repr`.

    Attributes:
        spec: The trial.
        engine: Identifies the engine that it ran on.
        engine_seconds: Seconds that this engine took to start.
        seconds: Wall seconds of the trial so far, by stage.
        state: How the trial ended; None while it goes on.
        share: The share of the items that it was scored on so far (0-1).
        items: What it scored so far, item by item.
        trade: What base or aligned scored on all of the search split, where that is more than `items`.
        tokens: Tokens that judges were sent and sent back.
        scores: Its scores once it is complete, and estimates of them where it was stopped.
        replies: Some of its replies, from the report split only.
        said: What it answered to every item, from the report split only, by name of the reward or probe.
        reason: Why it failed.
        written: What commands wrote in the last step, by name of their reward or probe.
    """

    spec: TrialSpec
    engine: str
    engine_seconds: float
    seconds: dict[str, float]
    state: State | None = None
    share: float = 1.0
    items: Items = field(default_factory=dict, repr=False)
    trade: Items = field(default_factory=dict, repr=False)
    tokens: dict[str, int] = field(default_factory=dict)
    scores: Scores | None = None
    replies: tuple[KeptReply, ...] = field(default=(), repr=False)
    said: Mapping[str, list[str]] = field(default_factory=dict, repr=False)
    reason: str = ""
    written: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_tune(self) -> dict[str, Any]:
        """Makes a Tune result: this record under one key, whether the trial is done, and plain values for trackers."""
        values: dict[str, Any] = {}
        if self.state == "failed":
            values["reason"] = self.reason
        else:
            objectives = self.scores.objectives if self.scores else {}
            values |= {name: estimate.value for name, estimate in objectives.items()}
            values |= {"share": self.share, "ratios": self.spec.ratios}
        return values | {"seconds": self.seconds, "done": self.state is not None, _RECORD: self}

    @staticmethod
    def from_tune(result: Mapping[str, Any]) -> TrialResult:
        """Reads a Tune result."""
        found: TrialResult = result[_RECORD]
        return found

    @staticmethod
    def take_from(result: dict[str, Any]) -> TrialResult:
        """Reads a Tune result, and takes the record out of it, as Tune keeps the results of all trials."""
        found: TrialResult = result.pop(_RECORD)
        return found
