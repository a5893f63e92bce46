"""`ScoreEstimator`: what a trial that has seen some of the items will score on all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ama_ray.scores.objectives import replies_of
from ama_ray.scores.tokens import TOKENS
from ama_ray.scores.trial import Estimate, ProbeResult, Replies, Scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.scores.objectives import Items, Objectives
    from ama_ray.scores.trial import Trial
    from ama_ray.storage.item_store import ItemStore

NEIGHBOURS = 3
"""Finished trials whose differences from the nearest one say how much such differences vary."""
PRIOR_ITEMS = 20
"""How many items that experience counts for beside the items seen."""


class ScoreEstimator:
    """Estimates the scores of a trial on all items that trials of the search see from its first ones.

    All trials see the same items, so those that a trial has seen tell what it will score on all of them: what the
    finished trial with the nearest ratios scored on all, plus the mean paired difference on the seen ones. The variance
    of that difference is pooled with what such differences have been between finished trials, as a few items can agree
    by chance; and the error shrinks to nothing as the last items come in.
    """

    def __init__(self, objectives: Objectives, items: ItemStore) -> None:
        """Prepares to estimate.

        Args:
            objectives: What the objectives are made of.
            items: What finished trials scored, item by item.
        """
        self._objectives = objectives
        self._terms = {term.name: term for term in objectives.probes}
        self._store = items
        self._items: dict[int, Items] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles whatever holds this again and again; items are on disk.
        return self.__dict__ | {"_items": {}}

    def estimate(self, items: Items, ratios: Mapping[str, float], finished: Sequence[Trial]) -> Scores:
        """Estimates what a trial will score on all items that trials of the search see.

        Args:
            items: Its first items.
            ratios: Its ratios.
            finished: Trials that were scored on all of them; at least one.
        """
        nearest = sorted(finished, key=lambda trial: math.dist(ratios.values(), trial.ratios.values()))
        reference, *others = nearest[: 1 + NEIGHBOURS]
        whole = self._read(reference)
        seen = self._differences(items, whole)
        usual = [self._differences(self._read(other), whole) for other in others]

        def error(se: float, usually: Sequence[float], parts: Sequence[str]) -> float:
            count = min(len(items[part]) for part in parts)
            share = min(len(items[part]) / len(whole[part]) for part in parts)
            prior = sum(each**2 for each in usually) / len(usually) / share if usually else math.inf
            return math.sqrt((count * se**2 + PRIOR_ITEMS * prior) / (count + PRIOR_ITEMS) * (1 - share))

        objectives = {}
        for name, difference in seen.objectives.items():
            se = error(difference.se, [each.objectives[name].se for each in usual], self._parts(name))
            objectives[name] = Estimate(reference.objectives[name].value + difference.value, se)
        probes = {}
        for name, change in seen.probes.items():
            known, se = reference.probes[name], error(change.tax_se, [u.probes[name].tax_se for u in usual], [name])
            score = self._terms[name].score_of(change.tax, known.score)
            probes[name] = ProbeResult(score, se, known.tax + change.tax, se)
        replies = {}
        for name, more in seen.replies.items():
            before = reference.replies[name]
            se = error(more.tokens_se, [u.replies[name].tokens_se for u in usual], [replies_of(name)])
            replies[name] = Replies(before.tokens + more.tokens, se, before.cut_off + more.cut_off)
        return Scores(objectives, probes, replies)

    def _read(self, trial: Trial) -> Items:
        if trial.number not in self._items:
            self._items[trial.number] = self._store.read("search", trial.number)
        return self._items[trial.number]

    def _differences(self, items: Items, other: Items) -> Scores:
        """Paired differences from another model on the items seen so far."""
        seen = {name: other[name][: len(array)] for name, array in items.items()}
        rewards = {term.name for term in self._objectives.rewards}
        rewards |= set(map(replies_of, self._objectives.sources))
        # With differences for rewards, and the other model in the place of base, the scores are differences.
        ours = {name: array - seen[name] if name in rewards else array for name, array in items.items()}
        return self._objectives.scores(ours, seen)

    def _parts(self, objective: str) -> list[str]:
        if objective == "tax":
            return [term.name for term in self._objectives.probes]
        if objective == TOKENS:
            return [replies_of(self._objectives.tokens.of)]
        return [term.name for term in self._objectives.rewards if term.objective == objective]
