"""`SwapTrial`: the Tune trainable. One long-lived actor with one engine; every trial is a swap and a scoring."""

from __future__ import annotations

import faulthandler
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from ama_ray.evaluation.evaluation import WHOLE, is_part, joined
from ama_ray.evaluation.work import items_in
from ama_ray.scores.trial import STAGES
from ama_ray.tuning.trial_records import TrialResult, TrialSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.engine.engine import Engine
    from ama_ray.evaluation.evaluation import Answers, Evaluation, Measured
    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.tuning.setup import Prepared


@dataclass(frozen=True)
class TrialContext:
    """All that a trial actor needs to start.

    Attributes:
        evaluations: What to ask an engine, as of `Evaluation.prepare`.
        objectives: What the objectives are made of.
        prepared: Where engines are from, and what base answered.
    """

    evaluations: Mapping[str, Evaluation]
    objectives: Objectives
    prepared: Prepared


@dataclass(frozen=True)
class TrialContextReference:
    """A `TrialContext` in the object store, fetched by an actor's first trial, so that Tune sets the actor up at once.

    Attributes:
        reference: The context in the object store.
        timeout: Seconds that a step of a trial may take.
    """

    reference: Any
    timeout: float

    @classmethod
    def of(cls, context: TrialContext, timeout: float) -> TrialContextReference:
        """Puts a context into the object store."""
        return cls(ray.put(context), timeout)

    def get(self) -> TrialContext:
        """Fetches the context."""
        context: TrialContext = ray.get(self.reference)
        return context


class SwapTrial(tune.Trainable):
    """Owns one engine, started once; Tune reuses the actor from trial to trial.

    Attributes:
        engine: The engine, from the first step on.
    """

    engine: Engine

    def setup(self, config: dict[str, Any], context: TrialContextReference) -> None:
        """Takes the first trial's ratios; `step` starts the engine.

        Tune hands a trial whose actor is still being set up to any actor that falls idle, and drops the one being set
        up. A slow setup would so leave the first engine to do all the work.
        """
        self._reference = context
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial's ratios; the engine stays as it is."""
        self._spec = TrialSpec.from_config(new_config)
        self._measured: list[Measured] = []
        self._seconds = dict.fromkeys(STAGES, 0.0)
        return True

    def _start(self) -> None:
        start = time.perf_counter()
        self._context = self._reference.get()
        self.engine = self._context.prepared.source.get()
        self._engine_id, self._engine_seconds = uuid.uuid4().hex, time.perf_counter() - start
        self._base: dict[str, tuple[Answers, Items]] = {}

    def step(self) -> dict[str, Any]:
        """Swaps, scores, and returns a `TrialResult`; a scorer's failure fails the trial and spares the engine.

        A trial that the sampler chose is scored part by part, a part each step, so that it can be stopped between them.

        Raises:
            SwapError: The swap failed; Tune then throws this actor and its engine away.
        """
        # From here on, whatever hangs: a thread of C ends the process, and Tune runs the trial in another one.
        timeout = self._reference.timeout
        faulthandler.dump_traceback_later(timeout, exit=True, file=2)
        try:
            return self._step().to_tune()
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _step(self) -> TrialResult:
        from ama_ray.processes.sandbox import SandboxError
        from ama_ray.rewards.base import ScorerError

        if not hasattr(self, "engine"):
            self._start()
        parts = self._parts()
        if not self._measured:
            start = time.perf_counter()
            self.engine.swap(self._spec.ratios)
            self._seconds["swap"] = time.perf_counter() - start
        part = parts[len(self._measured)]
        evaluation = self._context.evaluations[part]
        try:
            measured = evaluation.evaluate(self.engine, lambda: self._base_on(part)[0])
        except (ScorerError, SandboxError) as error:
            wrote = error.written if isinstance(error, ScorerError) else {}
            return replace(self._result(), state="failed", reason=str(error), written=wrote)
        self._measured.append(measured)
        for stage, seconds in measured.seconds.items():
            self._seconds[stage] += seconds
        items = joined([measured.items for measured in self._measured])
        tokens = sum((Counter(measured.tokens) for measured in self._measured), Counter[str]())
        several = [self._context.evaluations[name] for name in parts]
        sizes = [len(each.requests) + len(each.commands.each) for each in several]
        share = sum(sizes[: len(self._measured)]) / sum(sizes)
        wrote = measured.written
        result = replace(self._result(), share=share, items=items, tokens=dict(tokens), written=wrote)
        if share < 1:
            return result
        seen = self._context.evaluations["search"]
        if self._spec.asks == "trade" and evaluation.places != seen.places:
            whole, items = items, items_in(seen, items)
            result = replace(result, items=items, trade=whole)
        is_base = not any(self._spec.ratios.values())
        scores = self._context.objectives.scores(items, None if is_base else self._base_on(self._spec.split)[1])
        if self._spec.split == "report":
            result = replace(result, replies=measured.replies, said=measured.said)
        return replace(result, state="complete", scores=scores)

    def _result(self) -> TrialResult:
        return TrialResult(self._spec, self._engine_id, self._engine_seconds, dict(self._seconds))

    def _parts(self) -> list[str]:
        """The evaluations to do one after another."""
        parts = [name for name in self._context.evaluations if is_part(name)]
        in_parts = self._spec.origin == "sampler" and self._spec.split == "search" and parts
        return parts if in_parts else [self._spec.asks]

    def _base_on(self, part: str) -> tuple[Answers, Items]:
        """The answers and items of the base model to one of the evaluations."""
        if part not in self._base:
            evaluation, whole = self._context.evaluations[part], part if part in WHOLE else "trade"
            answers = self._context.prepared.get_base_answers(whole)
            if part != whole:
                answers = evaluation.answers_in(self._context.evaluations[whole], answers)
            self._base[part] = answers, evaluation.measure_probes(answers, answers)
        return self._base[part]

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save: a trial is a moment."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load: a trial that runs again in another actor starts anew."""
