"""Engines that the user started by `ama-ray engine`: whether they fit a run, and what a run asks of them once."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import ray

from ama_ray.engine import deep_check
from ama_ray.engine.prefix_tree import ScoringError
from ama_ray.engine.remote import ServerError, facts
from ama_ray.environment import key_of
from ama_ray.errors import UserError
from ama_ray.evaluation.evaluation import WHOLE
from ama_ray.tuning.cluster.engine_source import Served

if TYPE_CHECKING:
    from typing import Any

    from ama_ray.config import EngineSettings
    from ama_ray.engine.verdict import Verdict
    from ama_ray.evaluation.inputs import Inputs


def _key(settings: EngineSettings) -> str | None:
    return key_of(settings.api_key_env, "engine.api_key_env")


def check_servers(inputs: Inputs, context_length: int) -> None:
    """Checks that every server of a run holds its pair, in its precision, with enough context.

    Raises:
        UserError: Names the server, and what is off.
    """
    settings = inputs.config.engine
    for url in settings.url:
        known = facts(url, _key(settings))
        if known.dtype != settings.dtype:
            raise UserError(
                f"engine.url: the server at {url} computes in {known.dtype}, and the run in {settings.dtype}; give "
                "both the same --dtype and engine.dtype."
            )
        if known.checksum != inputs.pair.checksum:
            theirs = [known.sources["base"], *known.sources["aligned"]]
            raise UserError(
                f"engine.url: the server at {url} has another pair ({' and '.join(theirs)}); start one with "
                f"`ama-ray engine --pair {' '.join(inputs.config.sources)}`."
            )
        if known.context_length < context_length:
            raise UserError(
                f"engine.url: the server at {url} takes {known.context_length} tokens, and the run needs "
                f"{context_length}; start it with --max-model-len {context_length}."
            )


def prepare_served(inputs: Inputs) -> tuple[Served, dict[str, Any], float, Verdict]:
    """Checks a server as the deep check does, and asks it for the answers of base.

    Returns:
        Where trials get their engines, base's answers by split as references, the seconds that took, the verdict.

    Raises:
        UserError: No server is free, or its swap is not sound.
    """
    start = time.perf_counter()
    config, groups = inputs.config, inputs.groups
    source = Served(config.engine.url, inputs.pair.numbers(groups), _key(config.engine))
    try:
        with closing(source.get()) as engine:
            verdict = engine.deep_check(inputs.pair, groups, config.engine)
            if not verdict.passed:
                raise deep_check.refusal(verdict, inputs.pair, config.engine)
            engine.swap(groups.alone(0))
            answers: dict[str, Any] = {split: ray.put(inputs.evaluations[split].ask(engine)) for split in WHOLE}
    except (ServerError, ScoringError) as error:
        raise UserError(f"engine.url: {error}.") from error
    return source, answers, time.perf_counter() - start, verdict
