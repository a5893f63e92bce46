"""`FutilityStopper`: ends trials that would add next to nothing to the front, on a part of the items."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune import Stopper

from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.scores.trial import Estimate, ProbeResult, Scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun
    from ama_ray.scores.objectives import Items
    from ama_ray.scores.trial import Trial
    from ama_ray.tuning.recorder import Recorder

TOLERATED = 0.02
"""Hypervolume, as a share of the box between base and aligned, that a whole run may be expected to lose at most."""
DRAWS = 128
NEIGHBOURS = 3
"""Finished trials whose differences from the nearest one say how much such differences vary."""
PRIOR_ITEMS = 20
"""How many items that experience counts for beside the items seen."""


class FutilityStopper(Stopper):
    """Stops a trial once the hypervolume that its remaining items could add is expected to be negligible.

    All trials see the same items, so those that a trial has seen tell what it will score on all of them: what the
    finished trial with the nearest ratios scored on all, plus the mean paired difference on the seen ones. The variance
    of that difference is pooled with what such differences have been between finished trials, as a few items can agree
    by chance; and the error shrinks to nothing as the last items come in. The expected gain in hypervolume under these
    normal distributions is what the trial could still be worth; below its share of what a run may lose, the trial is
    stopped. The sampler and `trials.csv` then get the estimates.

    With constraints, the front is that of the trials that satisfy them, and a trial adds nothing where it breaks a
    bound on an objective. Bounds on probes and families stop no trial.
    """

    def __init__(self, run: StoredRun, recorder: Recorder) -> None:
        """Watches a run.

        Args:
            run: What its objectives, constraints and reference point are, and how many trials share the tolerated loss.
            recorder: Knows what has finished.
        """
        self._run = run
        self._recorder = recorder
        self._objectives = run.objectives
        self._worth_it = TOLERATED / run.config.trials
        self._terms = {term.name: term for term in run.objectives.probes}
        self._items: dict[int, Items] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its stoppers again and again; items are on disk.
        return self.__dict__ | {"_items": {}}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether to stop a trial; if so, its result gets the estimates and the state `stopped`."""
        if result.get("share", 1.0) >= 1.0:
            return False
        finished = [t for t in self._recorder.trials if t.state == "complete" and t.search is not None]
        pareto = self._run.pareto_of(finished, "search")
        if not finished or pareto.no_trade:
            return False
        scores = self._estimates(result["items"], result["ratios"], pareto.scored)
        if not self._expected_gain(scores.objectives, pareto) < self._worth_it:
            return False
        result |= {name: estimate.value for name, estimate in scores.objectives.items()}
        result |= {"state": "stopped", "scores": scores}
        return True

    def stop_all(self) -> bool:
        """A hopeless trial does not end the run."""
        return False

    def _estimates(self, items: Items, ratios: Mapping[str, float], finished: Sequence[Trial]) -> Scores:
        """What a trial with these first items will score on all of the search split."""
        nearest = sorted(finished, key=lambda trial: math.dist(ratios.values(), trial.ratios.values()))
        reference, *others = nearest[: 1 + NEIGHBOURS]
        whole = self._read(reference)
        seen = self._differences(items, whole)
        usual = [self._differences(self._read(other), whole) for other in others]

        def error(se: float, usually: Sequence[float], parts: Sequence[str]) -> float:
            count = min(len(items[part]) for part in parts)
            share = min(len(items[part]) / len(whole[part]) for part in parts)
            prior = sum(each**2 for each in usually) / len(usually) / share if usually else math.inf
            return math.sqrt((count * se**2 + PRIOR_ITEMS * prior) / (count + PRIOR_ITEMS) * (1 - share))

        objectives = {}
        for name, difference in seen.objectives.items():
            se = error(difference.se, [each.objectives[name].se for each in usual], self._parts(name))
            objectives[name] = Estimate(reference.objectives[name].value + difference.value, se)
        probes = {}
        for name, change in seen.probes.items():
            known, se = reference.probes[name], error(change.tax_se, [u.probes[name].tax_se for u in usual], [name])
            score = self._terms[name].score_of(change.tax, known.score)
            probes[name] = ProbeResult(score, se, known.tax + change.tax, se)
        return Scores(objectives, probes)

    def _read(self, trial: Trial) -> Items:
        if trial.number not in self._items:
            self._items[trial.number] = self._recorder.items.read("search", trial.number)
        return self._items[trial.number]

    def _differences(self, items: Items, other: Items) -> Scores:
        """Paired differences from another model on the items seen so far."""
        seen = {name: other[name][: len(array)] for name, array in items.items()}
        rewards = {term.name for term in self._objectives.rewards}
        # With differences for rewards, and the other model in the place of base, the scores are differences.
        ours = {name: array - seen[name] if name in rewards else array for name, array in items.items()}
        return self._objectives.scores(ours, seen)

    def _parts(self, objective: str) -> list[str]:
        if objective == "tax":
            return [term.name for term in self._objectives.probes]
        return [term.name for term in self._objectives.rewards if term.objective == objective]

    def _expected_gain(self, estimates: Mapping[str, Estimate], pareto: ParetoSet) -> float:
        """Expected gain in normalised hypervolume, by Monte Carlo with the same random numbers for all trials."""
        names = pareto.objectives
        normal = np.random.default_rng(0).standard_normal((DRAWS, len(names)))
        mean, se = (np.array([getattr(estimates[name], part) for name in names]) for part in ("value", "se"))
        if not np.isfinite([*mean, *se]).all():
            return math.inf
        front, (base, aligned) = (
            [[trial.objectives[name].value for name in names] for trial in trials]
            for trials in (pareto.front, [pareto.base, pareto.aligned])
        )
        reference = [*pareto.reference.values()]
        draws, allowed = mean + normal * se, np.ones(DRAWS, np.bool_)
        for name in pareto.constraints.bounds.keys() & set(names):
            allowed &= pareto.constraints.excess(name, draws[:, names.index(name)]) <= 0
        with_each = [hypervolume([*front, draw], base, aligned, reference) for draw in draws[allowed]]
        return math.fsum(volume - pareto.hypervolume for volume in with_each) / DRAWS
