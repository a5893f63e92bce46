"""`Objectives`: from the items of a merge and of base to its rewards and its tax, each with a standard error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.scores.families import families
from ama_ray.scores.interval import Interval
from ama_ray.scores.metrics import METRICS, mean_error
from ama_ray.scores.terms import UNCOUNTED
from ama_ray.scores.tokens import TAX, TOKENS
from ama_ray.scores.trial import Estimate, ProbeResult, Replies, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ama_ray.scores.terms import ProbeTerm, RewardTerm, TokensTerm


Items = Mapping[str, "NDArray[np.float64]"]
"""By name of a reward or probe, a row per prompt or item. Of a reward: the mean score of the prompt's replies, shape
(prompts, 1); of a probe: what its metric sums up, shape (items, k). By `replies_of` of one that has replies: their mean
number of tokens, and the share of them that ended in their thinking, shape (prompts or items, 2)."""


def replies_of(name: str) -> str:
    """Where items have what the replies of a reward or probe were like."""
    return f"replies.{name}"


@dataclass(frozen=True)
class Objectives:
    """What the objectives of a run are made of."""

    rewards: tuple[RewardTerm, ...]
    probes: tuple[ProbeTerm, ...]
    tokens: TokensTerm = UNCOUNTED

    @property
    def names(self) -> tuple[str, ...]:
        """The objectives: the rewards, maximised, then `tokens` where they are one, and `tax`, minimised."""
        return (*self.reward_names, *([TOKENS] * self.tokens.is_objective), TAX)

    @property
    def reward_names(self) -> tuple[str, ...]:
        """The objectives of the rewards."""
        return tuple(dict.fromkeys(term.objective for term in self.rewards))

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the rewards and probes."""
        return (*(term.name for term in self.rewards), *(term.name for term in self.probes))

    def weights(self) -> dict[str, float]:
        """The weight of every probe in the tax, which is the mean over families of the mean over their probes."""
        by_family = families(self.probes)
        return {name: 1 / len(by_family) / len(members) for members in by_family.values() for name in members}

    def scores(self, items: Items, base: Items | None) -> Scores:
        """Estimates from items.

        A reward's error clusters the replies of a prompt. The tax of a probe is a paired difference from base, item by
        item. Errors of several probes, and of rewards on different prompts, are added as those of independent
        estimates. Errors of probes know about few items (`Metric.paired_error`).

        Args:
            items: Of the merge.
            base: Of the base model, the same items in the same order; of its rewards nothing is needed. None where the
                merge is base: only its tax is 0 without an error.
        """
        objectives = {name: self._reward(name, items) for name in self.names[:-1]}
        results = {
            term.name: _result(term, items[term.name], None if base is None else base[term.name])
            for term in self.probes
        }
        weights = self.weights()
        tax = sum(weights[name] * result.tax for name, result in results.items())
        variance = sum((weights[name] * result.tax_se) ** 2 for name, result in results.items())
        return Scores(objectives | {TAX: Estimate(tax, variance**0.5)}, results, self._replies(items))

    def _replies(self, items: Items) -> dict[str, Replies]:
        found = {}
        for name in self.sources:
            if (of := items.get(replies_of(name))) is not None:
                tokens, cut_off = of.mean(axis=0).tolist()
                found[name] = Replies(tokens, mean_error(of[:, 0]), cut_off)
        return found

    def _reward(self, objective: str, items: Items) -> Estimate:
        value, variance = 0.0, 0.0
        for scores in self.by_prompt(objective, items):
            value += float(scores.mean())
            variance += mean_error(scores) ** 2
        return Estimate(value, variance**0.5)

    def intervals(self, items: Items) -> dict[str, Interval]:
        """The rewards by objective, the families and the probes by their names in `family.NAME` and `probe.NAME`.

        Each with the 95% interval that suits it: Student's t for a reward, Wilson's for a share of right answers (see
        `Interval`). Of sums, the intervals of their parts are put together as those of independent estimates.

        Args:
            items: Of a model.
        """
        rewards = {
            name: Interval.sum([Interval.of_mean(scores) for scores in self.by_prompt(name, items)])
            for name in self.names[:-1]
        }
        probes = {term.name: METRICS[term.metric].interval(items[term.name]) for term in self.probes}
        of_families = {
            f"family.{family}": Interval.sum([probes[name].times(1 / len(members)) for name in members])
            for family, members in families(self.probes).items()
        }
        return rewards | of_families | {f"probe.{name}": each for name, each in probes.items()}

    def of_each_item(self, items: Items) -> dict[str, NDArray[np.float64]]:
        """The score of every item by itself, by name of the reward or probe.

        Of a reward, the mean score of the replies to a prompt; of a probe, its metric of that item alone.
        """
        rewards = {term.name: items[term.name][:, 0] for term in self.rewards}
        return rewards | {term.name: METRICS[term.metric].of_sums(items[term.name], 1) for term in self.probes}

    def by_prompt(self, objective: str, items: Items) -> list[NDArray[np.float64]]:
        """What a reward objective, or `tokens`, is the mean of, per prompt: an array for every set of prompts.

        Of several rewards on the same prompts, that is their weighted sum.
        """
        if objective == TOKENS:
            return [items[replies_of(self.tokens.of)][:, 0]]
        sums: defaultdict[int, list[NDArray[np.float64]]] = defaultdict(list)
        for term in self.rewards:
            if term.objective == objective:
                sums[term.prompts].append(term.weight * items[term.name][:, 0])
        return [np.sum(parts, axis=0) for parts in sums.values()]


def _result(term: ProbeTerm, items: NDArray[np.float64], base: NDArray[np.float64] | None) -> ProbeResult:
    metric = METRICS[term.metric]
    score, error = metric.score(items), metric.standard_error(items)
    if base is None:
        return ProbeResult(score, error, tax=0.0, tax_se=0.0)
    return ProbeResult(score, error, float(term.tax_of(score, metric.score(base))), metric.paired_error(items, base))
