"""Writing a point of a run as a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial


def export_point(pareto: ParetoSet, point: Trial | int | str, out: Path) -> Path:
    """Writes the averaged checkpoint of a trial; see `ParetoSet.export`."""
    trial = pareto.point(point) if isinstance(point, int | str) else point
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
