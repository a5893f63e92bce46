"""`SwapTrial`: the Tune trainable. One long-lived actor with one engine; every trial is a swap and a scoring."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.config import Engine as EngineSettings
    from ama_ray.evaluation import Evaluation
    from ama_ray.tuning.preparation import Prepared


@dataclass(frozen=True)
class Plan:
    """All that a trial actor needs to start."""

    folder: Path
    settings: EngineSettings
    context_length: int
    evaluation: Evaluation
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
        self._plan = plan
        self._ratios = config["ratios"]

    def _start(self) -> None:
        start = time.perf_counter()
        from ama_ray.engine.engine import Engine

        plan = self._plan.get()
        self._engine = Engine(plan.folder, plan.settings, plan.context_length)
        self._identity = {"engine": uuid.uuid4().hex, "engine_seconds": time.perf_counter() - start}
        self._engine.attach(plan.prepared.get_endpoints())
        self._base = plan.prepared.get_base_answers()
        self._evaluation = plan.evaluation

    def step(self) -> dict[str, Any]:
        """Swaps, scores, and returns the objectives; a scorer's failure fails the trial and spares the engine.

        Raises:
            SwapError: The swap failed; Tune then throws this actor and its engine away.
        """
        from ama_ray.reward import ScorerError

        if not hasattr(self, "_engine"):
            self._start()
        start = time.perf_counter()
        self._engine.swap(self._ratios)
        seconds = {"swap": time.perf_counter() - start}
        answers = self._evaluation.ask(self._engine)
        seconds |= answers.seconds
        answered = time.perf_counter()
        try:
            fields = self._evaluation.objectives(answers, self._base)
        except ScorerError as error:
            return {"done": True, "reason": str(error), "seconds": seconds, **self._identity}
        seconds["score"] += time.perf_counter() - answered
        probes = {name: asdict(result) for name, result in fields.pop("probes").items()}
        return {"done": True, **fields, "probes": probes, "seconds": seconds, **self._identity}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial's ratios; the engine stays as it is."""
        self._ratios = new_config["ratios"]
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: a trial is a moment."""
