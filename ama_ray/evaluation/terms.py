"""What the objectives of a run file are made of: only the probes know their families and metrics."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ama_ray.config import RepliesReward
from ama_ray.data import splits
from ama_ray.errors import all_of
from ama_ray.probes import registry as probes
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm, TokensTerm

if TYPE_CHECKING:
    from ama_ray.config import Probe, Reward, RunConfig


def objectives_of(config: RunConfig) -> Objectives:
    """The objectives of a run file.

    Raises:
        UserError: There is no such preset or task, or the task has no such metric; a line for each.
    """
    sets = [_prompts(reward) for reward in config.reward]
    return Objectives(
        tuple(RewardTerm(r.name, r.objective, r.weight, sets.index(_prompts(r))) for r in config.reward),
        tuple(all_of([partial(_term, probe) for probe in config.tax])),
        TokensTerm(config.tokens_of, config.tokens.objective),
    )


def _prompts(reward: Reward) -> object:
    """What rewards share that are paired prompt by prompt; the items of a command are its own."""
    return (reward.prompts, reward.sampling) if isinstance(reward, RepliesReward) else reward.name


def _term(probe: Probe) -> ProbeTerm:
    return ProbeTerm(*probes.name_and_family(probe), probes.metric(probe))


def on_test_split(config: RunConfig) -> tuple[str, ...]:
    """The rewards and probes whose search items are, by their names, from a benchmark's test split."""
    names = [reward.name for reward in config.replies_rewards if splits.is_test_split(reward.prompts.search_name)]
    return (*names, *(probes.name_and_family(probe)[0] for probe in config.tax if probes.uses_test_split(probe)))
