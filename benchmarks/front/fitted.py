"""A landscape fitted item by item to merges that were scored: what a search and its report see, and the truth.

A small network is fitted to what merges score on every item. A probe's item is right where its logit is above zero, as
choices and greedy replies are the same every time. A reward is the prompt's mean plus noise of the size of the
residuals, as replies are sampled. A search sees some of the items, its report others; the truth is all of them, without
that noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ama_ray.config import Report
from ama_ray.errors import UserError
from ama_ray.pareto.hypervolume import hypervolume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.config import Split
    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.scores.trial import Scores

SPLITS: tuple[Split, ...] = ("search", "report")
LINE = np.linspace(0, 1, 201)
"""The uniform ratios whose truth is known."""


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


class Fitted:
    """A fitted pair, as one search and its report see it, and the truth.

    Attributes:
        aligned: What it is called.
        space: Of the ratios.
        groups: The parameters of the search, which are groups where the space has no knots.
        moved: How far base and aligned are apart along each.
        objectives: What is traded.
        line: The truth of the uniform ratios of `LINE`, shape (ratios, objectives).
    """

    def __init__(
        self,
        aligned: str,
        space: str,
        network: Network,
        inputs: Mapping[str, NDArray[np.float64]],
        moved: Mapping[str, float],
        objectives: Objectives,
        *,
        count: int,
        seed: int,
    ) -> None:
        """Draws the items of a search.

        Args:
            aligned: What the pair is called.
            space: What the space is called.
            network: Fitted; its items are those of the probes, one probe after another.
            inputs: What a parameter adds to the inputs of the network, by its name.
            moved: How far base and aligned are apart along each parameter.
            objectives: What is traded.
            count: Items of each probe, and prompts, on each split.
            seed: Of which items, and of the noise of replies.

        Raises:
            UserError: There are not so many items.
        """
        self.aligned, self.space, self.objectives = aligned, space, objectives
        self.groups, self.moved = tuple(inputs), dict(moved)
        self._network, self._seed = network, seed
        self._matrix = np.array([*inputs.values()])
        self._probes = [term.name for term in objectives.probes]
        sizes = dict.fromkeys(self._probes, network.items // len(self._probes)) | {"reward": network.prompts}
        if 2 * count > min(sizes.values()):
            raise UserError(f"{aligned}: there are {min(sizes.values())} items of each probe, for two splits.")
        draw = np.random.default_rng((seed, 7))
        self._chosen: dict[Split, dict[str, NDArray[np.intp]]] = {split: {} for split in SPLITS}
        for name, size in sizes.items():
            order = draw.permutation(size)
            for position, split in enumerate(SPLITS):
                self._chosen[split][name] = order[position * count :][:count]
        self._base = {split: self.items(dict.fromkeys(self.groups, 0.0), split) for split in SPLITS}
        self.line = self.truth([dict.fromkeys(self.groups, float(ratio)) for ratio in LINE])

    def items(self, ratios: Mapping[str, float], split: Split) -> Items:
        """What a split sees of some ratios, item by item; the same every time.

        The report samples more replies to a prompt, as many times as a run file without a word about it does.
        """
        right, means, spread = self._whole([ratios])
        draw = np.random.default_rng(
            [self._seed, SPLITS.index(split), *(round(ratio * 1e6) for ratio in ratios.values())]
        )
        noise = draw.standard_normal(means.shape[1]) / (1 if split == "search" else Report().samples) ** 0.5
        seen = {name: right[0, number] for number, name in enumerate(self._probes)}
        seen["reward"] = means[0] + spread[0] * noise
        return {name: seen[name][self._chosen[split][name], None] for name in ("reward", *self._probes)}

    def scores(self, ratios: Mapping[str, float]) -> Scores:
        """What the search sees, with standard errors."""
        return self.objectives.scores(self.items(ratios, "search"), self._base["search"])

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

    def _whole(self, points: Sequence[Mapping[str, float]]) -> tuple[NDArray[np.float64], ...]:
        """Right or wrong, shape (points, probes, items); mean rewards, (points, prompts); their spread, (points, 1)."""
        ratios = np.array([[each[group] for group in self.groups] for each in points]) @ self._matrix
        with torch.no_grad():
            logits, means, spread = self._network(torch.tensor(ratios).float())
        right = (logits > 0).double().numpy().reshape(len(points), len(self._probes), -1)
        return right, means.double().numpy(), spread.exp().double().numpy()
