"""A model of the miniature's landscape, item by item: a trial costs a millisecond, and its truth is known.

Merges of the miniature are scored on all of its items, and a landscape is fitted to them (`benchmarks.front.fitted`);
`python -m benchmarks.front.modelled` says how well.
"""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import typer

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.space.parametrization import parametrization
from ama_ray.space.search_space import SearchSpace
from benchmarks.front.fitted import SPLITS, Fitted, Network, fit
from testing.landscape import Landscape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.objectives import Items

SPACE = "attention-mlp"
"""The finest space, of which merges are scored; ratios of others are ratios of this one."""
MERGES = 60
HELD_OUT = 15
_LAYER = re.compile(r"(?<=\.layers\.)\d+")


def merges(groups: int) -> NDArray[np.float64]:
    """Ratios to score: eleven uniform ones, and others drawn from a seed; shape (merges, groups).

    Those have a level, every second one below a half, where weaker pairs are; around it a spread from none to wide; and
    every third has a few groups at 0 or at twice the level.
    """
    draw = np.random.default_rng(0)
    rows = [np.full(groups, ratio) for ratio in np.linspace(0, 1, 11)]
    for number in range(MERGES):
        level = draw.uniform(0, 0.5 if number % 2 else 1.0)
        spread = draw.choice([0.0, 0.1, 0.25, 0.5]) * (0.3 + level)
        row = np.clip(level + spread * draw.standard_normal(groups), 0, 1)
        if number % 3 == 2:
            few = draw.random(groups) < 0.3
            row[few] = np.clip(2 * level, 0, 1) * (draw.random(few.sum()) < 0.5)
        rows.append(row)
    return np.array(rows)


def scored(aligned: str, folder: Path, numbers: Sequence[int]) -> list[Items]:
    """The items of some of the merges; what was scored before is on disk."""
    torch.set_num_threads(1)
    landscape = Landscape(aligned, SPACE, folder / "cache")
    rows = merges(len(landscape.groups))[list(numbers)]
    points = [dict(zip(landscape.groups, row.tolist(), strict=True)) for row in rows]
    both = [[landscape.items(each, split) for split in SPLITS] for each in points]
    return [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]} for parts in both]


@cache
def network_of(aligned: str, folder: Path) -> Network:
    """The network of a pair, from its file or fitted now."""
    file = folder / f"landscape-{aligned}.pt"
    if not file.exists():
        landscape = Landscape(aligned, SPACE, folder / "cache")
        x = merges(len(landscape.groups))
        network = fit(x, scored(aligned, folder, range(len(x))), [term.name for term in landscape.objectives.probes])
        torch.save(network.state_dict(), file)
    state = torch.load(file)
    network = Network(state["trunk.0.weight"].shape[1], len(state["heads.0.bias"]), len(state["heads.1.bias"]))
    network.load_state_dict(state)
    return network


class Modelled(Fitted):
    """A pair of the miniature with a dial for the signal; its objectives are those of the miniature's run file."""

    def __init__(self, problem: str, seed: int, folder: Path) -> None:
        """Sets the dial.

        Args:
            problem: `ALIGNED:SPACE:ITEMS:STRENGTH[:DEPTH]`, as `rsf:per-layer:25:0.2`. So many items of each probe and
                as many prompts on each split, at most 150; aligned is at that share of the way from base; each layer
                stands for DEPTH layers, whose mean its ratio is.
            seed: Of which items, and of the noise of replies.
            folder: Of what was scored and fitted before.
        """
        aligned, space, items, strength, *depth = problem.split(":")
        inputs, moved = _inputs(aligned, space, int(depth[0]) if depth else 1)
        super().__init__(
            aligned,
            space,
            network_of(aligned, folder),
            {name: float(strength) * each for name, each in inputs.items()},
            moved,
            objectives_of(RunConfig.load(ROOT / "run.yaml")),
            count=int(items),
            seed=seed,
        )


def _inputs(aligned: str, space: str, depth: int) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """What each parameter of a space adds to the ratios of the finest one, and how far each moves."""
    pair = Pair.open(str(ROOT / "base"), str(ROOT / aligned))
    finest = SearchSpace.load(SPACE).resolve(pair.names)
    # Names of a model so much deeper, by the tensor of the miniature that each stands for a part of.
    deep: dict[str, str] = {}
    for name in pair.names:
        layer = _LAYER.search(name)
        for part in range(depth if layer else 1):
            deep[_LAYER.sub(str(int(layer[0]) * depth + part), name) if layer else name] = name
    groups = SearchSpace.load(space).resolve(list(deep))
    shape = parametrization(groups.ranges, None, groups.knots)
    far = {name: pair.moved[of] / (depth if _LAYER.search(of) else 1) ** 0.5 for name, of in deep.items()}
    inputs = {}
    for each in shape.ranges:
        ratios = groups.shares_of(shape.to_ratios({name: float(name == each) for name in shape.ranges}))
        by_finest: dict[str, list[float]] = {name: [] for name in finest.names}
        for name, of in deep.items():
            by_finest[finest.of[of]].extend(ratios[name])
        inputs[each] = np.array([np.mean(values) for values in by_finest.values()])
    # Trials hold the ratios of groups; here those of knots, in whose names `@` would be taken for that of a model.
    named = {name: name.replace("@", "") for name in shape.ranges}
    moved = shape.moved(groups.moved([far]))
    return {named[name]: each for name, each in inputs.items()}, {named[name]: each for name, each in moved.items()}


def main(aligned: str = "rsf", folder: Path = Path("runs/benchmark-search"), processes: int = 2) -> None:
    """Scores the merges, fits the network, and prints how well it knows merges that it was not fitted to."""
    landscape = Landscape(aligned, SPACE, folder / "cache")
    x, probes = merges(len(landscape.groups)), [term.name for term in landscape.objectives.probes]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(scored, *zip(*((aligned, folder, [number]) for number in range(len(x))), strict=True)))
    items = scored(aligned, folder, range(len(x)))
    network_of(aligned, folder)
    others = np.random.default_rng(1).permutation(len(x))
    known, held = others[HELD_OUT:], others[:HELD_OUT]
    network = fit(x[known], [items[i] for i in known], probes)
    with torch.no_grad():
        logits, means, _ = network(torch.tensor(x[held]).float())
    right = np.array([[items[i][name][:, 0] for name in probes] for i in held])
    found = (logits > 0).numpy().reshape(right.shape)
    rewards = np.array([items[i]["reward"].mean() for i in held])
    print(f"{len(held)} of {len(x)} merges held out: {(found == right).mean():.1%} of items as they are; error of")
    for name, each in zip(probes, (found.mean(2) - right.mean(2)).T, strict=True):
        print(f"  {name}: {np.sqrt((each**2).mean()):.3f}")
    print(f"  the mean reward: {np.sqrt(((means.numpy().mean(1) - rewards) ** 2).mean()):.3f}")


if __name__ == "__main__":
    typer.run(main)
