"""`HypervolumePlateau`: ends a search whose last trials won no hypervolume beyond error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.analysis.convergence import SplitHalves, gain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

NEGLIGIBLE = 0.002
"""Gain in hypervolume, as a share of the box between base and aligned, that is not worth more trials."""


class HypervolumePlateau:
    """Watches what the last trials of the sampler won.

    The search is on a plateau when the gain of the last trials (`ama_ray.analysis.convergence.gain`: the front chosen
    on one half of the items, scored on the other) is at most `NEGLIGIBLE`, or at most its error, which this way of
    counting makes wide: on resampled items of a real search it was 1.3 to 2 standard deviations. Judged by the items
    that chose the front, a gain is never below 0 and luck alone makes some, so that on few items no search would ever
    end. Stopped trials count as trials without a gain; failed ones say nothing and do not count, nor do baselines and
    warm starts.
    """

    def __init__(self, run: StoredRun) -> None:
        """Watches a run; without a `stop` in its run file, no plateau is ever found."""
        self._run = run
        self._patience = run.config.stop.patience if run.config.stop else 0
        self._halves = SplitHalves(run.objectives)
        self._judged = 0

    def reached(self, trials: Sequence[Trial]) -> str | None:
        """Why the search should end, as a sentence without its stop; None where it should go on.

        Args:
            trials: All trials that have ended so far. Nothing new is found until one more of the sampler's has ended.
        """
        tried = sorted((t for t in trials if t.origin == "sampler" and t.state != "failed"), key=lambda t: t.number)
        if not self._patience or len(tried) < self._patience or len(tried) == self._judged:
            return None
        self._judged = len(tried)
        last = {trial.number for trial in tried[-self._patience :]}
        # A baseline or a warm start that ended late won what it won before them.
        ordered = sorted(trials, key=lambda trial: (trial.number in last, trial.number))
        pareto = self._run.pareto_of(ordered, "search")
        if pareto.no_trade or pareto.no_front:
            return None
        for trial in pareto.scored:
            if trial.number not in self._halves:
                self._halves.add(trial.number, self._run.items.read("search", trial.number))
        won = gain(pareto, sum(trial.number in last for trial in pareto.scored), self._halves)
        if not won.value <= max(NEGLIGIBLE, won.se):
            return None
        which = f"last {self._patience} of the sampler" if self._patience > 1 else "last one of the sampler"
        return f"the {which} won {won.value:.4f} ± {won.se:.4f} of hypervolume, nothing beyond error"
