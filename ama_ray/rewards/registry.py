"""Preparing a reward of any kind.

The kinds stand in `ama_ray.config.rewards` by the addresses of their classes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ama_ray.data import splits
from ama_ray.data.rows import Row
from ama_ray.processes.worker import end_workers
from ama_ray.rewards.base import RewardKind, sampled

if TYPE_CHECKING:
    from ama_ray.config import Report, Reward
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.rewards.base import PreparedReward


def prepare(reward: Reward, tokenizer: Tokenizer, seed: int, report: Report) -> dict[str, PreparedReward]:
    """Reads, checks and tokenises a reward, and tries its scorer; done once per run.

    Args:
        reward: The reward of the run file.
        tokenizer: The tokenizer of the pair.
        seed: The seed of the run.
        report: How the report split is made, and how many more replies it has.

    Returns:
        The reward on all of the search split (`trade`), on the first of its prompts, which trials of the search see
        (`search`), on these once more in parts (`part-0`, ...) where they are enough, and on the `report` split.

    Raises:
        UserError: The prompt file or the scorer is missing or malformed, or the scorer does not work.
    """
    assert isinstance(reward, RewardKind)  # the run file makes no other
    prepared = reward.preparer()
    key = partial(_prompt, reward.prompts.field)
    halves = splits.load(reward.prompts, report.share, key=key)
    n, more = reward.sampling.replies, report.samples if reward.sampling.temperature > 0 else 1
    rows = splits.shuffled(halves.search, key)
    trade = prepared(reward, rows, sampled(reward, rows, tokenizer, seed, n))
    later = prepared(reward, halves.report, sampled(reward, halves.report, tokenizer, seed, n * more))
    try:
        trade.check()
        later.check()
    finally:
        end_workers()
    seen = slice(splits.searched(len(rows)))
    of_search: dict[str, slice] = {"search": seen}
    of_search |= {f"part-{number}": part for number, part in enumerate(splits.parts(rows[seen]))}
    first = {name: replace(trade, rows=rows[part], requests=trade.requests[part]) for name, part in of_search.items()}
    return {"trade": trade, "report": later, **first}


def _prompt(field: str, row: Row) -> str:
    # As a probe on the same file tells its items apart, so that both divide it alike.
    return splits.question(Row({"prompt": row.get(field)}, row.where))
