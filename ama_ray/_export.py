"""Writing a point of a run as a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial


def export_point(pareto: ParetoSet, point: Trial | int, out: Path) -> Path:
    """Writes the averaged checkpoint of a trial; see `ParetoSet.export`."""
    trial = _numbered(pareto, point) if isinstance(point, int) else point
    if trial.state == "failed":
        raise UserError(f"Trial {trial.number} failed ({trial.reason}); export one that is complete.")
    if pareto.config is None:
        raise UserError("This Pareto set does not know its pair; open it with ParetoSet.open(run folder).")
    from ama_ray.averaging import export
    from ama_ray.pair import Pair
    from ama_ray.space import SearchSpace

    pair = Pair.open(pareto.config.base, pareto.config.aligned)
    groups = SearchSpace.load(pareto.config.space).resolve(pair.names)
    export(pair, groups.ratio_of(trial.ratios), out)
    return out


def _numbered(pareto: ParetoSet, number: int) -> Trial:
    for trial in pareto.trials:
        if trial.number == number:
            return trial
    on_front = ", ".join(str(trial.number) for trial in pareto.front)
    raise UserError(f"There is no trial {number}; the front has trials {on_front or '(none)'}.")
