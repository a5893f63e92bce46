"""What a live engine answers at one point of a pair; runs in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.arguments import pair_arguments
from ama_ray.engine.in_process import InProcessEngine
from ama_ray.engine.requests import Continuations, Generation
from ama_ray.space.search_space import SearchSpace
from tests.support.equality import endpoints
from tests.support.live_engine import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Tokens = tuple[int, ...]


def answers(
    pair: tuple[Path, Path],
    ratio: float,
    prompts: Sequence[Tokens],
    most: int,
    asked: Sequence[tuple[Tokens, Tokens]],
) -> tuple[list[str], list[float]]:
    """Greedy replies, and log-likelihoods of continuations, after a swap to one ratio everywhere.

    Args:
        pair: Folders of base and of aligned.
        ratio: Share of aligned.
        prompts: What is replied to.
        most: Most tokens of a reply.
        asked: Contexts and their continuations.
    """
    opened = Pair.open(*map(str, pair))
    groups = SearchSpace.load("per-layer").resolve(opened.names)
    engine = InProcessEngine(opened.engine_folder, SETTINGS, 64, pair_arguments(opened))
    engine.attach(endpoints(engine, opened, groups))
    engine.swap(dict.fromkeys(groups.names, ratio))
    replies = engine.generate([Generation(prompt, most, ends=opened.ends.ids) for prompt in prompts])
    scores = engine.loglikelihoods([Continuations(context, (continuation,)) for context, continuation in asked])
    return [reply.text for (reply,) in replies], [score for (score,) in scores]
