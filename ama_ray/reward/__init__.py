"""Rewards: prompts turned into requests for sampled replies, and replies into a score each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray import sources
from ama_ray.reward.function import FunctionScores, load_scorer
from ama_ray.reward.prepared import PreparedReward, Scored, ScorerError, sampled

if TYPE_CHECKING:
    from ama_ray.config import Report, Reward
    from ama_ray.prompting import Tokenizer

__all__ = ["PreparedReward", "Scored", "ScorerError", "prepare"]


def prepare(
    reward: Reward, tokenizer: Tokenizer, seed: int, report: Report
) -> tuple[PreparedReward, PreparedReward]:
    """Reads, checks and tokenises a reward; done once per run.

    Args:
        reward: Of the run file.
        tokenizer: Of the pair.
        seed: Of the run.
        report: How the report split is made, and how many more replies it has.

    Returns:
        The reward on the search split and on the report split.

    Raises:
        UserError: The prompt file or the scorer is missing or malformed.
    """
    scorer = load_scorer(reward.scorer)
    halves = sources.load(reward.prompts, report.share, key=lambda row: str(row.get(reward.prompts.field)))
    search, later = (
        FunctionScores(reward, rows, sampled(reward, rows, tokenizer, seed, n), scorer)
        for rows, n in (
            (halves.search, reward.sampling.n),
            (halves.report, reward.sampling.n * report.samples),
        )
    )
    return search, later
