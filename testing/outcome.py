"""What became of the trials of a search that faults were injected into: a row of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from ama_ray.run import StoredRun
from ama_ray.storage.names import JOURNAL

if TYPE_CHECKING:
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Scores, Trial
    from testing.search_process import FaultRun

Points = dict[tuple[str, tuple[float, ...]], "Scores"]
"""Scores by split and ratios."""


def outcome(run: FaultRun, undisturbed: FaultRun) -> dict[str, Any]:
    """Compares a run with what was on disk before its faults, and with an undisturbed one of the same settings.

    - lost: trials that were in `trials.csv` before a fault, and in the end are not, or with other scores.
    - doubled: trials of the study that stand for the same trial of the run, or are still under way.
    - same points: of those scored in both runs (the uniform points at least), how many have exactly the same scores.
    - same front: whether both fronts are the same points with the same scores; to be expected only where the sampler
      does not go by the order in which trials end (`random`), nor does early stopping.
    """
    now = {trial.number: trial for trial in run.trials}
    lost = [
        number
        for number, trial in run.before.items()
        if number not in now
        or (trial.search and now[number].search != trial.search)
        or (trial.report and now[number].report != trial.report)
    ]
    ours, theirs = _points(run.trials), _points(undisturbed.trials)
    both = ours.keys() & theirs.keys()
    pareto, other = StoredRun.open(run.out).pareto, StoredRun.open(undisturbed.out).pareto
    return {
        "faults": run.faults,
        "finished before": len(run.before),
        "finished": sum(trial.search is not None for trial in now.values()),
        "failed": sum(trial.state == "failed" for trial in now.values()),
        "lost": len(lost),
        "doubled": count_doubled(run),
        "seconds to recover": [round(seconds, 1) for seconds in run.recovered],
        "same points": f"{sum(ours[point] == theirs[point] for point in both)} of {len(both)}",
        "same front": "yes" if _front(pareto) == _front(other) else "no",
        "hypervolume": round(pareto.hypervolume, 3),
        "undisturbed": round(other.hypervolume, 3),
    }


def count_doubled(run: FaultRun) -> int:
    """Looks into the study, once, as its database may end before the table is made."""
    if run.doubled is None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage = run.fields.get("storage") or JournalStorage(JournalFileBackend(str(run.out / JOURNAL)))
        stored = optuna.load_study(study_name=None, storage=storage).get_trials()
        sound = [each for each in stored if each.state != TrialState.FAIL]
        numbers = [each.user_attrs.get("number") for each in sound]
        under_way = sum(not each.state.is_finished() for each in sound)
        run.doubled = len(numbers) - len(set(numbers)) + under_way
    return run.doubled


def _points(trials: list[Trial]) -> Points:
    """Of trials scored on all items."""
    return {
        (split, tuple(trial.ratios.values())): scores
        for trial in trials
        if trial.state == "complete"
        for split, scores in (("search", trial.search), ("report", trial.report))
        if scores
    }


def _front(pareto: ParetoSet) -> list[tuple[tuple[float, ...], Any]]:
    return sorted(((tuple(trial.ratios.values()), trial.report) for trial in pareto.front), key=lambda each: each[0])
