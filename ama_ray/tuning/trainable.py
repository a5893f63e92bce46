"""`SwapTrial`: the Tune trainable. One long-lived actor with one engine; every trial is a swap and a scoring."""

from __future__ import annotations

import faulthandler
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from ama_ray.evaluation.evaluation import SPLITS, joined
from ama_ray.scores.trial import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.evaluation.evaluation import Answers, Evaluation, Measured
    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.tuning.setup import Prepared


@dataclass(frozen=True)
class TrialContext:
    """All that a trial actor needs to start."""

    evaluations: Mapping[str, Evaluation]
    objectives: Objectives
    prepared: Prepared


@dataclass(frozen=True)
class TrialContextReference:
    """A `TrialContext` in the object store, fetched by the first trial of an actor, so that Tune sets the actor up at once."""

    reference: Any
    timeout: float

    @classmethod
    def of(cls, plan: TrialContext, timeout: float) -> TrialContextReference:
        """Puts the plan into the object store; `timeout` is `engine.timeout`."""
        return cls(ray.put(plan), timeout)

    def get(self) -> TrialContext:
        """Fetches the plan."""
        plan: TrialContext = ray.get(self.reference)
        return plan


class Unprinted(dict[str, Any]):
    """Items on their way to the recorder. Tune formats all results for logs that nobody reads, and arrays take long."""

    def __repr__(self) -> str:
        return f"<items of {', '.join(self)}>"


class SwapTrial(tune.Trainable):
    """Owns one engine, started once; Tune reuses the actor from trial to trial."""

    def setup(self, config: dict[str, Any], plan: TrialContextReference) -> None:
        """Takes the first trial's ratios; `step` starts the engine.

        Tune hands a trial whose actor is still being set up to any actor that falls idle, and drops the one being set
        up. A slow setup would so leave the first engine to do all the work.
        """
        self._reference = plan
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial's ratios; the engine stays as it is."""
        self._config = new_config
        self._measured: list[Measured] = []
        self._seconds = dict.fromkeys(STAGES, 0.0)
        return True

    def _start(self) -> None:
        start = time.perf_counter()
        self._plan = self._reference.get()
        self._engine = self._plan.prepared.source.get()
        self._identity = {"engine": uuid.uuid4().hex, "engine_seconds": time.perf_counter() - start}
        self._base: dict[str, tuple[Answers, Items]] = {}

    def step(self) -> dict[str, Any]:
        """Swaps, scores, and returns the objectives; a scorer's failure fails the trial and spares the engine.

        A trial that the sampler chose is scored part by part, a part each step, so that it can be stopped between them.

        Raises:
            SwapError: The swap failed; Tune then throws this actor and its engine away.
        """
        # From here on, whatever hangs: a thread of C ends the process, and Tune runs the trial in another one.
        timeout = self._reference.timeout
        faulthandler.dump_traceback_later(timeout, exit=True, file=2)
        try:
            return self._step()
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _step(self) -> dict[str, Any]:
        from ama_ray.rewards.base import ScorerError

        if not hasattr(self, "_engine"):
            self._start()
        parts = self._parts()
        if not self._measured:
            start = time.perf_counter()
            self._engine.swap(self._config["ratios"])
            self._seconds["swap"] = time.perf_counter() - start
        part = parts[len(self._measured)]
        evaluation = self._plan.evaluations[part]
        try:
            measured = evaluation.evaluate(self._engine, lambda: self._base_on(part)[0])
        except ScorerError as error:
            return {"done": True, "reason": str(error), "seconds": dict(self._seconds), **self._identity}
        self._measured.append(measured)
        for stage, seconds in measured.seconds.items():
            self._seconds[stage] += seconds
        items = joined([measured.items for measured in self._measured])
        tokens = sum((Counter(measured.tokens) for measured in self._measured), Counter[str]())
        sizes = [len(self._plan.evaluations[name].requests) for name in parts]
        share = sum(sizes[: len(self._measured)]) / sum(sizes)
        result = {
            "share": share,
            "ratios": self._config["ratios"],
            "items": Unprinted(items),
            "tokens": dict(tokens),
            "seconds": dict(self._seconds),
        }
        if share < 1:
            return {"done": False, **result, **self._identity}
        _, base_items = self._base_on(self._config["split"])
        scores = self._plan.objectives.scores(items, base_items)
        values = {name: estimate.value for name, estimate in scores.objectives.items()}
        if self._config["split"] == "report":
            result["replies"] = measured.replies
        return {"done": True, **values, "scores": scores, **result, **self._identity}

    def _parts(self) -> list[str]:
        """The evaluations to do one after another."""
        parts = [name for name in self._plan.evaluations if name not in SPLITS]
        return (
            parts
            if self._config["origin"] == "sampler" and self._config["split"] == "search" and parts
            else [self._config["split"]]
        )

    def _base_on(self, part: str) -> tuple[Answers, Items]:
        """The answers and items of the base model on a split or a part of the search split."""
        if part not in self._base:
            evaluation, split = self._plan.evaluations[part], part if part in SPLITS else "search"
            whole = self._plan.prepared.get_base_answers(split)
            answers = whole if part == split else evaluation.answers_in(self._plan.evaluations[split], whole)
            self._base[part] = answers, evaluation.measure_probes(answers, answers)
        return self._base[part]

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: a trial is a moment."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load: a trial that runs again in another actor starts anew."""
