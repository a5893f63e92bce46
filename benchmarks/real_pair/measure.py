"""What aligned won and lost, and the adapter: on prompts and items that no training saw, paired with base."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.merging import complete_folder
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig
from benchmarks.real_pair.live import Live

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from testing.real_pair.folder import Made

MEASURED = "measured.json"


def make(made: Made, out: Path) -> dict[str, Any]:
    """Scores base, aligned and the adapter on the report split.

    Args:
        made: With a run file, and an adapter.
        out: A new folder, for the figures as JSON.

    Returns:
        By model: the mean `reward`; but for base, its `gain` over base, and the `tax` and that of every probe, each a
        value with its standard error; `errors`, the gain in its standard errors.
    """
    live = Live.open(RunConfig.load(made.run_file))
    live.ask_base(["report"])
    base = live.measure("report")[0].items
    figures: dict[str, Any] = {"base": {"reward": float(base["reward"].mean())}}
    for name, folder in (("aligned", made.aligned), ("adapter", made.adapter)):
        live.load(Pair.open(str(made.base), str(folder)).aligned)
        items = live.measure("report")[0].items
        scores = live.inputs.objectives.scores(items, base)
        gain, error = paired(items["reward"][:, 0], base["reward"][:, 0])
        tax = scores.objectives["tax"]
        figures[name] = {
            "reward": float(items["reward"].mean()),
            "gain": [gain, error],
            "errors": gain / error,
            "tax": [tax.value, tax.se],
        } | {probe: [result.tax, result.tax_se] for probe, result in scores.probes.items()}
    with complete_folder(out) as folder:
        (folder / MEASURED).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def paired(values: NDArray[Any], base: NDArray[Any]) -> tuple[float, float]:
    """The mean difference of the same prompts, and its standard error."""
    differences = values - base
    return float(differences.mean()), float(differences.std(ddof=1) / len(differences) ** 0.5)
