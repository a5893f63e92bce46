"""A model of the miniature's landscape, item by item: a trial costs a millisecond, and its truth is known.

Merges of the miniature are scored on the search split, and a small network is fitted to what they score on every item
(`python -m benchmarks.front.modelled` says how well). A probe's item is right where its logit is above zero, as
replies are greedy and the same every time. A reward is the prompt's mean plus noise of the size of the residuals, as
replies are sampled. What a search sees is some of the items; the truth is all of them, without that noise.
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
from ama_ray.pareto.hypervolume import hypervolume
from ama_ray.space.parametrization import parametrization
from ama_ray.space.search_space import SearchSpace
from testing.landscape import Landscape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.objectives import Items
    from ama_ray.scores.trial import Scores

SPACE = "attention-mlp"
"""The finest space, of which merges are scored; ratios of others are ratios of this one."""
MERGES = 60
HELD_OUT = 15
LINE = np.linspace(0, 1, 201)
"""The uniform ratios whose truth is known."""
_LAYER = re.compile(r"(?<=\.layers\.)\d+")


class Network(torch.nn.Module):
    """From ratios to logits of the probes' items, means of the prompts' rewards, and the logarithm of their spread."""

    def __init__(self, ratios: int, items: int, prompts: int, width: int = 32) -> None:
        super().__init__()
        layers = torch.nn.Linear(ratios, width), torch.nn.SiLU(), torch.nn.Linear(width, width), torch.nn.SiLU()
        self.trunk = torch.nn.Sequential(*layers)
        self.items, self.prompts = items, prompts
        self.heads = torch.nn.ModuleList(torch.nn.Linear(width, size) for size in (items, prompts, 1))

    def forward(self, ratios: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden = self.trunk(ratios)
        return tuple(head(hidden) for head in self.heads)


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
    return [landscape.items(dict(zip(landscape.groups, row.tolist(), strict=True)), "search") for row in rows]


def fit(x: NDArray[np.float64], items: Sequence[Mapping[str, NDArray[np.float64]]], probes: Sequence[str]) -> Network:
    """A network for merges of ratios `x`, shape (merges, ratios), and their items."""
    torch.manual_seed(0)
    ratios = torch.tensor(x).float()
    right = torch.tensor(np.array([np.concatenate([each[name][:, 0] for name in probes]) for each in items])).float()
    rewards = torch.tensor(np.array([each["reward"][:, 0] for each in items])).float()
    network, steps = Network(x.shape[1], right.shape[1], rewards.shape[1]), 1500
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        logits, means, spread = network(ratios + 0.03 * torch.randn_like(ratios))
        loss = 3 * torch.nn.functional.binary_cross_entropy_with_logits(logits, right)
        loss = loss + ((rewards - means) ** 2 * torch.exp(-2 * spread) / 2 + spread).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return network


@cache
def network_of(aligned: str, folder: Path) -> Network:
    """The network of a pair, from its file or fitted now."""
    file = folder / f"modelled-{aligned}.pt"
    if not file.exists():
        landscape = Landscape(aligned, SPACE, folder / "cache")
        x = merges(len(landscape.groups))
        network = fit(x, scored(aligned, folder, range(len(x))), [term.name for term in landscape.objectives.probes])
        torch.save(network.state_dict(), file)
    state = torch.load(file)
    network = Network(state["trunk.0.weight"].shape[1], len(state["heads.0.bias"]), len(state["heads.1.bias"]))
    network.load_state_dict(state)
    return network


class Modelled:
    """A pair with a dial for the signal, as one search sees it, and the truth.

    Attributes:
        groups: The parameters of the search, which are groups where the space has no knots.
        moved: How far base and aligned are apart along each.
        objectives: Of the miniature's run file.
        line: The truth of the uniform ratios of `LINE`, shape (ratios, objectives).
    """

    def __init__(self, problem: str, seed: int, folder: Path) -> None:
        """Sets the dial.

        Args:
            problem: `ALIGNED:SPACE:ITEMS:STRENGTH[:DEPTH]`, as `rsf:per-layer:25:0.2`. So many items of each probe and
                as many prompts, `all` for all; aligned is at that share of the way from base; each layer stands for
                DEPTH layers, whose mean its ratio is.
            seed: Of which items, and of the noise of replies.
            folder: Of what was scored and fitted before.
        """
        self.aligned, self.space, items, strength, *depth = problem.split(":")
        self.objectives = objectives_of(RunConfig.load(ROOT / "run.yaml"))
        self._probes = [term.name for term in self.objectives.probes]
        self._network = network_of(self.aligned, folder)
        self._strength, self._seed = float(strength), seed
        pair = Pair.open(str(ROOT / "base"), str(ROOT / self.aligned))
        self._set_groups(pair, int(depth[0]) if depth else 1)
        draw = np.random.default_rng((seed, 7))
        sizes = dict.fromkeys(self._probes, self._network.items // len(self._probes))
        sizes["reward"] = self._network.prompts
        self._chosen = {
            name: np.sort(draw.permutation(size)[: None if items == "all" else int(items)])
            for name, size in sizes.items()
        }
        self._base = self.items(dict.fromkeys(self.groups, 0.0))
        self.line = self.truth([dict.fromkeys(self.groups, float(ratio)) for ratio in LINE])

    def items(self, ratios: Mapping[str, float]) -> Items:
        """What a search sees of some ratios, item by item; the same every time."""
        right, means, spread = self._whole([ratios])
        draw = np.random.default_rng([self._seed, *(round(ratio * 1e6) for ratio in ratios.values())])
        noisy = means[0] + spread[0] * draw.standard_normal(means.shape[1])
        seen = {name: right[0, number] for number, name in enumerate(self._probes)} | {"reward": noisy}
        return {name: seen[name][self._chosen[name], None] for name in ("reward", *self._probes)}

    def scores(self, ratios: Mapping[str, float]) -> Scores:
        """What a search sees, with standard errors."""
        return self.objectives.scores(self.items(ratios), self._base)

    def truth(self, points: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """True reward and tax of some ratios, shape (points, 2)."""
        right, means, _ = self._whole([dict.fromkeys(self.groups, 0.0), *points])
        scores, weights = right.mean(axis=2), self.objectives.weights()
        taxes = (scores[0] - scores[1:]) @ np.array([weights[name] for name in self._probes])
        return np.stack([means[1:].mean(axis=1), taxes], axis=1)

    def volume(self, truth: NDArray[np.float64]) -> float:
        """The normalised hypervolume of true values, in the true box."""
        return hypervolume(truth, self.line[0].tolist(), self.line[-1].tolist())

    def uniform_reward(self, tax: float) -> float:
        """The most true reward of a uniform point with at most this true tax."""
        return float(self.line[self.line[:, 1] <= max(tax, 0.0), 0].max())

    def _set_groups(self, pair: Pair, depth: int) -> None:
        """The parameters of the space, how far each moves, and the finest space's ratios as a matrix times them."""
        finest = SearchSpace.load(SPACE).resolve(pair.names)
        # Names of a model so much deeper, by the tensor of the miniature that each stands for a part of.
        deep: dict[str, str] = {}
        for name in pair.names:
            layer = _LAYER.search(name)
            for part in range(depth if layer else 1):
                deep[_LAYER.sub(str(int(layer[0]) * depth + part), name) if layer else name] = name
        groups = SearchSpace.load(self.space).resolve(list(deep))
        shape = parametrization(groups.ranges, None, groups.knots)
        self.groups = tuple(shape.ranges)
        far = {name: pair.moved[of] / (depth if _LAYER.search(of) else 1) ** 0.5 for name, of in deep.items()}
        self.moved = shape.moved(groups.moved([far]))
        rows = []
        for group in self.groups:
            ratios = groups.shares_of(shape.to_ratios({name: float(name == group) for name in self.groups}))
            by_finest: dict[str, list[float]] = {name: [] for name in finest.names}
            for name, of in deep.items():
                by_finest[finest.of[of]].extend(ratios[name])
            rows.append([np.mean(each) for each in by_finest.values()])
        self._matrix = np.array(rows)

    def _whole(self, points: Sequence[Mapping[str, float]]) -> tuple[NDArray[np.float64], ...]:
        """Right or wrong, shape (points, probes, items); mean rewards, (points, prompts); their spread, (points, 1)."""
        ratios = np.array([[each[group] for group in self.groups] for each in points]) @ self._matrix * self._strength
        with torch.no_grad():
            logits, means, spread = self._network(torch.tensor(ratios).float())
        right = (logits > 0).double().numpy().reshape(len(points), len(self._probes), -1)
        return right, means.double().numpy(), spread.exp().double().numpy()


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
