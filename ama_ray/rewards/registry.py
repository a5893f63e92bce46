"""Rewards: prompts turned into requests for sampled replies, and replies into a score each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ama_ray.config.rewards import FunctionReward, JudgeReward, ModelReward
from ama_ray.data import splits
from ama_ray.data.rows import Row
from ama_ray.engine.classifier.process import OwnProcess
from ama_ray.rewards.base import PreparedReward, Scored, ScorerError, sampled
from ama_ray.rewards.function import FunctionScores, load_scorer
from ama_ray.rewards.judge import JudgeScores, PairwiseJudgeScores
from ama_ray.rewards.judge_client import JudgeClient
from ama_ray.rewards.model import ModelScores, RewardModel
from ama_ray.rewards.pairwise import PairwiseScores
from ama_ray.rewards.rubric import FIRST, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.config import Report, Reward
    from ama_ray.data.prompting import Tokenizer

__all__ = ["ModelScores", "PreparedReward", "Scored", "ScorerError", "prepare"]


def prepare(reward: Reward, tokenizer: Tokenizer, seed: int, report: Report) -> dict[str, PreparedReward]:
    """Reads, checks and tokenises a reward, and tries its scorer; done once per run.

    Args:
        reward: Of the run file.
        tokenizer: Of the pair.
        seed: Of the run.
        report: How the report split is made, and how many more replies it has.

    Returns:
        The reward on the `search` split and on the `report` split, and the search split once more in parts (`part-0`,
        ...) where it has prompts enough.

    Raises:
        UserError: The prompt file or the scorer is missing or malformed, or the scorer does not work.
    """
    build = _builder(reward)
    key = partial(_prompt, reward.prompts.field)
    halves = splits.load(reward.prompts, report.share, key=key)
    n = reward.sampling.n
    rows = splits.shuffled(halves.search, key)
    search = build(reward, rows, sampled(reward, rows, tokenizer, seed, n))
    later = build(reward, halves.report, sampled(reward, halves.report, tokenizer, seed, n * report.samples))
    search.check()
    later.check()
    parts = {
        f"part-{number}": replace(search, rows=rows[part], requests=search.requests[part])
        for number, part in enumerate(splits.parts(rows))
    }
    return {"search": search, "report": later, **parts}


def _prompt(field: str, row: Row) -> str:
    # As a probe on the same file tells its items apart, so that both divide it alike.
    return splits.question(Row({"prompt": row.get(field)}, row.where))


def _builder(reward: Reward) -> Callable[..., PreparedReward]:
    """What makes a prepared reward of its settings, rows and requests; both splits share one scorer."""
    if isinstance(reward, FunctionReward):
        return partial(FunctionScores, address=reward.scorer, scorer=load_scorer(reward.scorer))
    if isinstance(reward, ModelReward):
        model = RewardModel.open(reward)
        return partial(ModelScores, model=model, classifier=OwnProcess(model.settings))
    if isinstance(reward, JudgeReward):
        return partial(JudgeScores, judge=JudgeClient(reward.judge, *reward.scale))
    if reward.judge is not None:
        return partial(PairwiseJudgeScores, judge=JudgeClient(reward.judge, FIRST, SECOND))
    assert reward.scorer is not None  # the run file has one of the two
    return partial(PairwiseScores, address=reward.scorer, scorer=load_scorer(reward.scorer))
