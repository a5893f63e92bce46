"""`Constraints`: the bounds of a run, and how far scores are from them. Imports no torch, ray or vllm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ama_ray.config.search import parse_bound
from ama_ray.errors import UserError, did_you_mean
from ama_ray.scores.families import families, family_tax
from ama_ray.scores.tokens import TOKENS
from ama_ray.scores.trial import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.config.search import Side
    from ama_ray.scores.families import Values
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Scores


@dataclass(frozen=True)
class Constraints:
    """The bounds that points of the front satisfy; without bounds, every point does.

    Attributes:
        bounds: Side and limit by name: `tax`, `tokens`, a reward objective, `probe.NAME` or `family.NAME`.
        families: The names of the probes of every family that is bounded.
        tokens_of: The reward or probe whose replies `tokens` counts.
    """

    bounds: Mapping[str, tuple[Side, float]] = field(default_factory=dict)
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokens_of: str = ""

    @classmethod
    def parse(cls, bounds: Mapping[str, str], objectives: Objectives) -> Constraints:
        """The constraints of a run file.

        Args:
            bounds: By name, as `<= 0.02`.
            objectives: Of the run, in whose families `family.NAME` is looked up.

        Raises:
            UserError: There is no such family.
        """
        members = families(objectives.probes)
        wanted = [name.removeprefix("family.") for name in bounds if name.startswith("family.")]
        if unknown := [family for family in wanted if family not in members]:
            near = did_you_mean(unknown[0], members)
            there = f"there is no family {unknown[0]!r}; there are {', '.join(members)}{near}"
            raise UserError.of("constraints", [there])
        return cls(
            {name: parse_bound(bound) for name, bound in bounds.items()},
            {family: members[family] for family in wanted},
            objectives.tokens.of,
        )

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __str__(self) -> str:
        """The bounds, as in `tax <= 0.02 and probe.gsm8k <= 0.05`."""
        return " and ".join(f"{name} {side} {limit:g}" for name, (side, limit) in self.bounds.items())

    def excess(self, name: str, value: Values) -> Values:
        """How far a value is beyond its bound, in its units; 0 or less where it satisfies it."""
        side, limit = self.bounds[name]
        return value - limit if side == "<=" else limit - value

    def estimates(self, scores: Scores) -> dict[str, Estimate]:
        """What the bounds are on, each with its standard error; NaN where the scores lack it.

        The tax of a family is the mean over its probes, their errors added as those of independent estimates.
        """
        return {name: self._estimate(name, scores) for name in self.bounds}

    def _estimate(self, name: str, scores: Scores) -> Estimate:
        if name in scores.objectives:
            return scores.objectives[name]
        if name == TOKENS:
            replies = scores.replies.get(self.tokens_of)
            return Estimate(replies.tokens, replies.tokens_se) if replies else Estimate()
        kind, _, what = name.partition(".")
        return family_tax(scores, self.families[what] if kind == "family" else (what,))

    def violations(self, scores: Scores) -> dict[str, float]:
        """How far scores are beyond each bound, by its name.

        Returns:
            In the units of what is bounded, all bounds in the same order for all scores: 0 or less where it is
            satisfied, NaN where the scores lack what it is on.
        """
        # Rounded, as 0.62 - 0.6 is a little more than 0.02 in floating point.
        return {name: round(self.excess(name, each.value), 12) for name, each in self.estimates(scores).items()}

    def satisfied(self, scores: Scores) -> bool:
        """Whether scores satisfy all bounds. Estimates decide, and what is not known satisfies none."""
        return all(violation <= 0 for violation in self.violations(scores).values())

    def doubt(self, scores: Scores) -> float:
        """By how many standard errors scores break the bound they break the most surely.

        Returns:
            Less than 0 where they satisfy all: minus the standard errors of the least sure one; minus infinity without
            bounds.
        """
        estimates, violations = self.estimates(scores), self.violations(scores)
        return max((_in_errors(violations[name], each.se) for name, each in estimates.items()), default=-math.inf)


def _in_errors(violation: float, error: float) -> float:
    if math.isnan(violation):
        return math.inf
    if error > 0:
        return violation / error
    return math.inf if violation > 0 else -math.inf
