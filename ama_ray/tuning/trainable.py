"""`SwapTrial`: the Tune trainable. One long-lived actor with one engine; every trial is a swap and a scoring."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.config import Engine as EngineSettings
    from ama_ray.config import Split
    from ama_ray.evaluation import Answers, Evaluation
    from ama_ray.objectives import Items, Objectives
    from ama_ray.tuning.preparation import Prepared


@dataclass(frozen=True)
class Plan:
    """All that a trial actor needs to start."""

    folder: Path
    settings: EngineSettings
    context_length: int
    evaluations: Mapping[Split, Evaluation]
    objectives: Objectives
    prepared: Prepared


@dataclass(frozen=True)
class PlanReference:
    """A `Plan` in the object store, fetched by the first trial of an actor, so that Tune sets the actor up at once."""

    reference: Any

    @classmethod
    def of(cls, plan: Plan) -> PlanReference:
        """Puts the plan into the object store."""
        return cls(ray.put(plan))

    def get(self) -> Plan:
        """Fetches the plan."""
        plan: Plan = ray.get(self.reference)
        return plan


class SwapTrial(tune.Trainable):
    """Owns one engine, started once; Tune reuses the actor from trial to trial."""

    def setup(self, config: dict[str, Any], plan: PlanReference) -> None:
        """Takes the first trial's ratios; `step` starts the engine.

        Tune hands a trial whose actor is still being set up to any actor that falls idle, and drops the one being set
        up. A slow setup would so leave the first engine to do all the work.
        """
        self._reference = plan
        self._config = config

    def _start(self) -> None:
        start = time.perf_counter()
        from ama_ray.engine.engine import Engine

        self._plan = self._reference.get()
        self._engine = Engine(self._plan.folder, self._plan.settings, self._plan.context_length)
        self._identity = {"engine": uuid.uuid4().hex, "engine_seconds": time.perf_counter() - start}
        self._engine.attach(self._plan.prepared.get_endpoints())
        self._base: dict[Split, tuple[Answers, Items]] = {}

    def step(self) -> dict[str, Any]:
        """Swaps, scores, and returns the objectives; a scorer's failure fails the trial and spares the engine.

        Raises:
            SwapError: The swap failed; Tune then throws this actor and its engine away.
        """
        from ama_ray.reward import ScorerError

        if not hasattr(self, "_engine"):
            self._start()
        split: Split = self._config["split"]
        evaluation = self._plan.evaluations[split]
        start = time.perf_counter()
        self._engine.swap(self._config["ratios"])
        seconds = {"swap": time.perf_counter() - start}
        answers = evaluation.ask(self._engine)
        seconds |= answers.seconds
        answered = time.perf_counter()
        try:
            base, base_items = self._base_on(split)
            measured = evaluation.measure(answers, base)
        except ScorerError as error:
            return {"done": True, "reason": str(error), "seconds": seconds, **self._identity}
        scores = self._plan.objectives.scores(measured.items, base_items)
        seconds["score"] += time.perf_counter() - answered
        return {
            "done": True,
            **{name: estimate.value for name, estimate in scores.objectives.items()},
            "scores": scores,
            "items": measured.items,
            "tokens": measured.tokens,
            "seconds": seconds,
            **self._identity,
        }

    def _base_on(self, split: Split) -> tuple[Answers, Items]:
        if split not in self._base:
            answers = self._plan.prepared.get_base_answers(split)
            self._base[split] = answers, self._plan.evaluations[split].measure_probes(answers, answers)
        return self._base[split]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial's ratios; the engine stays as it is."""
        self._config = new_config
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: a trial is a moment."""
