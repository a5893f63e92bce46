"""Do the intervals hold what they promise? Scores of random subsets of items against those of all items.

    python -m benchmarks.front.coverage

Scores base and two uniform merges of the miniature on many items of its world, then draws subsets, and counts how often
the 95% interval of a subset (estimate and 1.96 standard errors, as a run reports them) holds the value of all items:
for the reward, each probe, the tax, and the paired difference between the two merges.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.checkpoint import Checkpoint, read_tensors
from ama_ray.config import RunConfig
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.miniature.recipe.world import World
from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ama_ray.scores.trial import Scores

PROBES = {"sums": 6, "reversal": 9, "translation": 10}
RATIOS = (0.5, 0.6)
"""Merges whose scores are far from both ends of the metrics."""
Items = dict[str, "NDArray[np.float64]"]


def main(items: int = 3000, subset: int = 100, subsets: int = 200, seed: int = 0) -> None:
    """Prints a table and a JSON object of coverages (0-1)."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs.open(_config(Path(folder), items, seed))
        base, *merges = _answered(inputs, Path(folder))
    objectives = inputs.objectives
    whole = [_estimates(objectives.scores(merge, base)) for merge in merges]
    covered: dict[str, int] = {}
    generator = np.random.default_rng(seed)
    for _ in range(subsets):
        chosen = {name: generator.choice(len(array), subset, replace=False) for name, array in merges[0].items()}
        first, second, ground = (_part(each, chosen) for each in (*merges, base))
        estimates = _estimates(objectives.scores(first, ground))
        # A merge measured against another instead of base: its tax is the paired difference.
        paired = objectives.scores(first, second).objectives["tax"]
        estimates["paired difference"] = paired
        truth = whole[0] | {"paired difference": Estimate(whole[0]["tax"].value - whole[1]["tax"].value, 0.0)}
        for name, estimate in estimates.items():
            covered[name] = covered.get(name, 0) + (abs(estimate.value - truth[name].value) <= 1.96 * estimate.se)
    shares = {name: count / subsets for name, count in covered.items()}
    sizes = {len(array) for array in merges[0].values()}
    table = Table(title=f"95% intervals of {subsets} subsets of {subset} out of {min(sizes)}-{max(sizes)} items")
    for column in ("estimate", "value of all items", "covered"):
        table.add_column(column)
    for name, share in shares.items():
        table.add_row(name, f"{truth[name].value:.3f}", f"{share:.1%}")
    Console().print(table)
    print(json.dumps(shares))


def _config(folder: Path, items: int, seed: int) -> RunConfig:
    world = World(seed + 1, search=(items, items), report=(1, 1))
    rows: dict[str, list[Any]] = {name: [item.row() for item in world.search.probes[name]] for name in PROBES}
    rows["prompts"] = world.search.prompts
    for name, each in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in each))
    fields: Mapping[str, Any] = {
        "base": str(ROOT / "base"),
        "aligned": str(ROOT / "rsf"),
        "engine": {"dtype": "float32"},
        "reward": {
            "kind": "function",
            "prompts": {"file": folder / "prompts.jsonl"},
            "scorer": f"{ROOT}/reward.py:score",
            "sampling": {"max_tokens": 28, "n": 2},
        },
        "tax": [
            {"name": name, "family": name, "kind": "exact", "file": folder / f"{name}.jsonl", "max_tokens": tokens}
            for name, tokens in PROBES.items()
        ],
        "seed": seed,
        "out": folder / "out",
    }
    return RunConfig.from_arguments(**fields)


def _answered(inputs: Inputs, folder: Path) -> list[Items]:
    """The items of base and of the merges, from one engine that loads one checkpoint after another."""
    from ama_ray.engine.in_process import InProcessEngine

    evaluation = inputs.evaluations["search"]
    engine = InProcessEngine(inputs.pair.base.folder, inputs.config.engine, inputs.context_length)
    base = evaluation.ask(engine)
    measured = [evaluation.measure(base, base)]
    for ratio in RATIOS:
        merge = folder / f"merge-{ratio}"
        merging.export(inputs.pair, inputs.groups.shares_of(dict.fromkeys(inputs.groups.names, ratio)), merge)
        engine.load_checkpoint(Checkpoint(merge, read_tensors(str(merge)), {}))
        measured.append(evaluation.measure(evaluation.ask(engine), base))
    return [each.items for each in measured]


def _part(items: Items, chosen: Mapping[str, NDArray[np.int64]]) -> Items:
    return {name: array[chosen[name]] for name, array in items.items()}


def _estimates(scores: Scores) -> dict[str, Estimate]:
    return scores.objectives | {name: Estimate(each.score, each.score_se) for name, each in scores.probes.items()}


if __name__ == "__main__":
    typer.run(main)
