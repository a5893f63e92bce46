"""What a run will take, as far as that is known without an engine: requests, tokens, memory, and time from before."""

from __future__ import annotations

import math
from statistics import mean, stdev
from typing import TYPE_CHECKING

import psutil

from ama_ray.errors import UserError
from ama_ray.evaluation import work
from ama_ray.rewards.judge import JudgeReward
from ama_ray.storage.identity import checksums, read_identity
from ama_ray.storage.names import TRIALS
from ama_ray.storage.records import read_trials
from ama_ray.tuning.budget import Costs
from ama_ray.tuning.cluster.memory import endpoint_bytes, engine_bytes, uses_gpu
from ama_ray.tuning.cluster.planned_run import on_one_engine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.config import Evaluated, RunConfig
    from ama_ray.evaluation.inputs import Inputs


TRIALS_OF_A_NUMBER = 2
"""Fewer trials for every number than these are said to be few."""


def estimate(inputs: Inputs) -> Iterator[str]:
    """Yields a line for each thing that is known; of time only where `out` holds trials of the same pair and items."""
    config = inputs.config
    fewest = config.baseline_points + 1
    report = f"{fewest} to {fewest + config.report.points} on the report split"
    yield f"trials: {config.trials} of the search, then {report}"
    yield _numbers(inputs)
    yield f"a trial of the search: {_work(inputs, 'search')}; of the report: {_work(inputs, 'report')}"
    if (ends := _work(inputs, "trade")) != _work(inputs, "search"):
        yield f"base and aligned, on all of the search split: {ends}"
    if config.budget:
        yield _budget(config, Costs.of(config, inputs.evaluations))
    on_gpu = uses_gpu(config.engine)
    endpoints, engine = endpoint_bytes(inputs), engine_bytes(inputs, on_gpu=on_gpu)
    free = psutil.virtual_memory().available
    several = f"all {len(inputs.pair.endpoints)}" if inputs.pair.further else "both"
    yield (
        f"memory of each node: {endpoints / 1e9:.1f} GB for {several} endpoints, and {engine / 1e9:.1f} GB for each "
        f"engine{' besides that of its GPUs' if on_gpu else ''}; this machine has {free / 1e9:.1f} GB free"
    )
    judged = [
        sum(request.n for request in reward.requests)
        for reward in inputs.evaluations["search"].rewards
        if isinstance(reward.settings, JudgeReward)
    ]
    if judged:
        yield f"judges: {sum(judged)} replies of each trial of the search; what that costs, its first trial shows"
    before = _seconds_before(inputs)
    if len(before) < 2:
        yield from on_one_engine(inputs)
    yield _time(inputs.config, before)


def _numbers(inputs: Inputs) -> str:
    """How many numbers the search space leaves to the sampler, and for how many trials."""
    config, numbers = inputs.config, len(inputs.shape.ranges)
    chosen = config.trials - config.first_points
    told = f"numbers that the sampler chooses: {numbers}, in {chosen} of these trials"
    if config.space == "profile" or numbers * TRIALS_OF_A_NUMBER <= chosen:
        return told
    return f"{told}; these are few for so many, and with few items `space: profile` has eight for every model"


def _work(inputs: Inputs, asked: Evaluated) -> str:
    requests = inputs.evaluations[asked].requests
    read, most = sum(map(work.read, requests)), sum(map(work.generated, requests))
    return f"{len(requests)} requests, {read} tokens read, at most {most} tokens generated"


def _budget(config: RunConfig, costs: Costs) -> str:
    always = f"base, aligned and the other uniform points, which every run scores, take {costs.least:,} tokens"
    if config.budget is None or config.budget.tokens is None:
        return f"budget: {config.budget}; {always}; how many more there is time for, the pace of the trials will tell"
    most = config.trials - config.first_points
    left = config.budget.tokens - costs.least
    whole = f"one more trial of the search takes {costs.search:,} and one more point of the report {costs.report:,}"
    needed = costs.least + most * costs.search + config.report.points * costs.report
    enough = "enough for all trials" if needed <= config.budget.tokens else f"all trials take at most {needed:,}"
    return f"budget: {config.budget}, {enough}; {always}, which leaves {left:,}; {whole}, less where trials are stopped"


def _time(config: RunConfig, seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return f"time: not known before the first trial, as {config.out} holds no trials of the same items"
    one, spread = mean(seconds), stdev(seconds)
    trials = config.trials
    error = 1.96 * spread * math.sqrt(trials + trials * trials / len(seconds))
    return (
        f"time: {one:.2g} s for a trial of the search (mean of the {len(seconds)} in {config.out}), so "
        f"{trials} trials take {trials * one:.0f} ± {error:.0f} s on one engine (95% interval), and the report's come "
        "on top"
    )


def _seconds_before(inputs: Inputs) -> list[float]:
    """What trials of the search took that were scored before, where their pair, items and scorers are the same."""
    out = inputs.config.out
    try:
        if checksums(read_identity(out)) != inputs.digests:
            return []
        trials = read_trials(out / TRIALS)
    except (OSError, UserError):
        return []
    return [sum(trial.seconds.values()) for trial in trials if trial.search is not None and trial.seconds]
