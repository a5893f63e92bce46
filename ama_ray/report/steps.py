"""Where a search stood after each of its trials, from the folder of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.convergence import hypervolume_trace
from ama_ray.item_store import ItemStore
from ama_ray.objectives import Objectives

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.convergence import Step
    from ama_ray.pareto import ParetoSet


def convergence(pareto: ParetoSet, out: Path) -> list[Step]:
    """The steps of a search, with what holds on other items where the folder has `items/`."""
    if pareto.config is None or not (out / "items" / "search").is_dir():
        return hypervolume_trace(pareto)
    store = ItemStore(out / "items")
    items = {trial.number: store.read("search", trial.number) for trial in pareto.search_split.scored}
    return hypervolume_trace(pareto, Objectives.of(pareto.config), items)
