"""What a run does once, beside its trials: it stores both endpoints, does the deep check, and asks the base model."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from ama_ray.checkpoints import merging
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import DeepCheckCache, Verdict
from ama_ray.errors import UserError, one_line
from ama_ray.evaluation.evaluation import SPLITS
from ama_ray.tuning.cluster.engine_actor import EngineActor
from ama_ray.tuning.cluster.engine_servers import check_servers, prepare_served
from ama_ray.tuning.cluster.engine_source import InProcess, StoredEndpoints
from ama_ray.tuning.cluster.memory import own_store
from ama_ray.tuning.cluster.pickling import scorers_by_value
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.cluster.slots import engine_resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.engine.deep_check import Verdict
    from ama_ray.evaluation.evaluation import Answers
    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.tuning.cluster.engine_source import EngineSource

BESIDE = 2**30
"""Bytes of a pair up to which memory for one engine more than the trials have is not worth saving."""


@dataclass(frozen=True)
class Prepared:
    """What every trial of a run shares: references into Ray's object store, some of them still under way.

    Attributes:
        source: Where trials get their engines.
        base_answers: What the base model answered, by split; the tax is measured from it.
        engine_seconds: Wall seconds that the trials waited for these engines, summed over the engines.
        verdict: What the deep check found; it is known already.
    """

    source: EngineSource
    base_answers: dict[str, Any]
    engine_seconds: float
    verdict: Verdict

    def get_base_answers(self, split: str) -> Answers:
        """Waits for the answers of the base model."""
        answers: Answers = ray.get(self.base_answers[split])
        return answers


def context_length(inputs: Inputs) -> int:
    """Tokens of context the engines of a run take: as set, or the longest request, or a prompt of the deep check."""
    return inputs.config.engine.max_model_len or max(inputs.context_length, deep_check.CONTEXT)


def is_alone(pair_bytes: int, gpus: float, there: float) -> bool:
    """Whether the engine that loads both endpoints takes the place of one that a trial would have.

    Args:
        pair_bytes: Of both endpoints; on a CPU a large pair needs the memory of an engine.
        gpus: What one engine takes.
        there: The GPUs of the cluster; with twice as many as it takes, others need not wait for it.
    """
    return there < 2 * gpus if gpus else pair_bytes > BESIDE


def prepare(inputs: Inputs, tell: Callable[[str], None], *, deep: bool = False, keep: bool = False) -> Prepared:
    """Starts an engine that loads both endpoints and asks base, and ends when it has done its part.

    Where there is room, the pair is loaded beside the engines of the trials while those start; else it is waited for
    (`is_alone`). So is the deep check where it is due.

    Args:
        inputs: The opened run.
        tell: Called with a line of text as a large pair is loaded.
        deep: Whether to do the deep check even where its verdict is known.
        keep: Whether to keep a copy of the endpoints on this process's node (`StoredEndpoints.keep`).

    Raises:
        UserError: The engine does not start on this pair, or its swap is not sound (the deep check).
    """
    if inputs.config.engine.url:
        check_servers(inputs, context_length(inputs))
        return Prepared(*prepare_served(inputs))
    pair, groups, settings = inputs.pair, inputs.groups, inputs.config.engine
    gpus = engine_resources(settings)["GPU"]
    on_gpu = gpus > 0
    alone = is_alone(pair.num_bytes, gpus, ray.cluster_resources().get("GPU", 0))
    cache = DeepCheckCache(pair, groups, settings, on_gpu=on_gpu)
    verdict = None if deep else cache.read()
    start = time.perf_counter()
    loader = _start(inputs, pair.engine_folder)
    endpoints = StoredEndpoints.by(loader, pair, groups)
    attached = loader.attach.remote(endpoints)
    evaluations = [(split, inputs.evaluations[split]) for split in SPLITS]
    base_ratios = dict.fromkeys(groups.names, 0.0)
    base_answers: dict[str, Any] = {split: loader.ask.remote(base_ratios, each) for split, each in evaluations}
    engines = 0
    if alone:
        endpoints.follow(lambda share: tell(f"{share:.0%} of {pair.num_bytes / 1e9:.1f} GB in the object store"))
    if verdict is None:
        engines = 1 if alone else 2
        verdict = _deep_check(loader, attached, list(base_answers.values()), inputs, one_by_one=alone)
        cache.write(verdict)
    elif alone:
        engines = 1
        _wait(attached, f"vLLM does not load {pair.aligned.folder} so that its weights can be swapped")
        _wait(list(base_answers.values()), "asking the base model failed")
        ray.kill(loader)
    waited = engines * (time.perf_counter() - start)
    if not verdict.passed:
        raise deep_check.refusal(verdict, pair, settings)
    if keep:
        endpoints.keep()
    source = InProcess(pair.engine_folder, settings, context_length(inputs), endpoints)
    return Prepared(source, base_answers, waited, verdict)


def _start(inputs: Inputs, folder: Path) -> Any:
    settings = inputs.config.engine
    actor = ray.remote(num_cpus=0, num_gpus=engine_resources(settings)["GPU"])(EngineActor)
    return actor.remote(folder, settings, context_length(inputs))


def _deep_check(loader: Any, attached: Any, base_answers: list[Any], inputs: Inputs, *, one_by_one: bool) -> Verdict:
    """Compares the loader after a swap with a fresh engine; `one_by_one` where both need the same GPU or memory."""
    prompts = deep_check.check_prompts(inputs.vocabulary_size)
    ratios = deep_check.check_ratios(inputs.groups.names)
    with tempfile.TemporaryDirectory(prefix="ama_ray-deep-check-") as scratch:
        merge = Path(scratch) / "merge"

        def start_fresh() -> Any:
            merging.export(inputs.pair, inputs.groups.ratio_of(ratios), merge)
            return _start(inputs, merge)

        fresh = None if one_by_one else start_fresh()
        _wait(loader.start.remote(), f"vLLM does not start on {inputs.pair.engine_folder}")
        _wait(attached, f"vLLM does not load {inputs.pair.aligned.folder} so that its weights can be swapped")
        _wait(base_answers, "asking the base model failed")
        swapped = _wait(
            loader.greedy_after_swap.remote(ratios, prompts, deep_check.NEW_TOKENS), "the deep check failed"
        )
        ray.kill(loader)
        fresh = fresh or start_fresh()
        expected = _wait(fresh.greedy.remote(prompts, deep_check.NEW_TOKENS), "the deep check failed")
        ray.kill(fresh)
    return deep_check.compare(swapped, expected, inputs.config.engine)


def _wait(reference: Any, trouble: str) -> Any:
    """The value of a reference; a failure of the engine behind it as one sentence."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise UserError(f"{trouble}: {one_line(error)}") from error


def run_deep_check(inputs: Inputs) -> Verdict:
    """Compares a swapped engine with a fresh one on the exported merge, whatever earlier checks said.

    Raises:
        UserError: They differ, or an engine does not start on this pair.
    """
    with scorers_by_value(inputs.evaluations["search"].rewards), ray_cluster(partial(own_store, inputs)):
        return prepare(inputs, lambda line: None, deep=True).verdict
