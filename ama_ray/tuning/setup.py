"""What a run does once, beside its trials: it stores both endpoints, does the deep check, and asks the base model."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import ray

from ama_ray.engine import deep_check
from ama_ray.engine.arguments import pair_arguments
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.plain_vllm import PlainVllm
from ama_ray.evaluation.evaluation import WHOLE
from ama_ray.tuning.checking import CheckBeside, waited
from ama_ray.tuning.cluster.engine_actor import EngineActor
from ama_ray.tuning.cluster.engine_servers import check_servers, prepare_served
from ama_ray.tuning.cluster.engine_source import EndpointsByRank, InProcess, StoredEndpoints
from ama_ray.tuning.cluster.memory import own_store
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.cluster.slots import engine_resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.evaluation.evaluation import Answers
    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.tuning.cluster.engine_source import EngineSource, RunEndpoints

BESIDE = 2**30
"""Bytes of a pair up to which memory for one engine more than the trials have is not worth saving."""
PATIENCE = 60.0
"""Seconds for the processes of an engine to end; the next one is to have their GPUs."""

ON_CPU = ", on a CPU, where it runs fewer models than on a GPU (docs/models.md)"


@dataclass(frozen=True)
class Prepared:
    """What every trial of a run shares: references into Ray's object store, some of them still under way.

    Attributes:
        source: Where trials get their engines.
        base_answers: What the base model answered, to every item of a run (`WHOLE`); the tax is measured from it.
        engine_seconds: Wall seconds that the trials waited for these engines, summed over the engines.
    """

    source: EngineSource
    base_answers: dict[str, Any]
    engine_seconds: float

    def get_base_answers(self, split: str) -> Answers:
        """Waits for the answers of the base model."""
        answers: Answers = ray.get(self.base_answers[split])
        return answers


def is_alone(pair_bytes: int, gpus: float, there: float) -> bool:
    """Whether the engine that loads both endpoints takes the place of one that a trial would have.

    Args:
        pair_bytes: Of both endpoints; on a CPU a large pair needs the memory of an engine.
        gpus: What one engine takes.
        there: The GPUs of the cluster; with twice as many as it takes, others need not wait for it.
    """
    return there < 2 * gpus if gpus else pair_bytes > BESIDE


def prepare(
    inputs: Inputs, tell: Callable[[str], None], *, deep: bool = False, keep: bool = False
) -> tuple[Prepared, CheckBeside]:
    """Starts an engine that loads both endpoints, does the deep check and asks base, and ends when that is done.

    Where there is room, the pair is loaded beside the engines of the trials while those start; else it is waited for
    (`is_alone`), and so is the whole deep check.

    Args:
        inputs: The opened run.
        tell: Called with a line of text as a large pair is loaded, and when something is known of the deep check.
        deep: Whether to do the deep check even where its verdict is known.
        keep: Whether to keep a copy of the endpoints on this process's node (`StoredEndpoints.keep`).

    Returns:
        What trials need, and the deep check, which may still be under way.

    Raises:
        UserError: The engine does not start on this pair, or its swap is not sound (the deep check).
    """
    if inputs.config.engine.url:
        check_servers(inputs, inputs.context_length)
        source, answers, seconds, verdict = prepare_served(inputs)
        tell(f"deep check passed: {verdict}")
        return Prepared(source, answers, seconds), CheckBeside.done()
    pair, groups, settings = inputs.pair, inputs.groups, inputs.config.engine
    gpus = engine_resources(settings)["GPU"]
    alone = is_alone(pair.num_bytes, gpus, ray.cluster_resources().get("GPU", 0))
    start = time.perf_counter()
    subject = Subject.of(pair, groups, settings)
    plain = None if gpus else PlainVllm(pair, subject, settings, again=deep)
    loader = _start(inputs)
    started = loader.start.remote(subject, again=deep)
    endpoints, attached = _attach(loader, inputs)
    checked = loader.check.remote(attached, answers=plain is not None and plain.known is None)
    base_ratios = groups.alone(0)
    base_answers: dict[str, Any] = {
        split: loader.ask.remote(base_ratios, inputs.evaluations[split], checked) for split in WHOLE
    }
    steps = (
        (started, f"vLLM does not start on {pair.engine_folder}{'' if gpus else ON_CPU}"),
        (attached, f"vLLM does not load {pair.aligned.folder} so that its weights can be swapped"),
        (checked, "the deep check failed"),
    )
    check = CheckBeside(steps, plain, partial(deep_check.refusal, pair=pair, settings=settings), tell)
    seconds = 0.0
    if alone:
        endpoints.follow(lambda share: tell(f"{share:.0%} of {pair.num_bytes / 1e9:.1f} GB in the object store"))
        check.wait_for_engine()
        waited(list(base_answers.values()), "asking the base model failed")
        ray.wait([loader.close.remote()], timeout=PATIENCE)
        ray.kill(loader)
        check.wait()
        seconds = time.perf_counter() - start
    if keep:
        endpoints.keep()
    models = len(pair.endpoints) - 1
    engines = InProcess(pair.engine_folder, settings, inputs.context_length, endpoints, pair_arguments(pair), models)
    return Prepared(engines, base_answers, seconds), check


def _attach(loader: Any, inputs: Inputs) -> tuple[RunEndpoints, Any]:
    """Has the loader attach both endpoints; returns what the trials' engines get them by, and when it is done."""
    if inputs.config.engine.ranks > 1:
        by_rank = EndpointsByRank.of(inputs.pair, inputs.groups)
        return by_rank, loader.attach_pair.remote(by_rank)
    stored = StoredEndpoints.by(loader, inputs.pair, inputs.groups)
    return stored, loader.attach.remote(stored)


def _start(inputs: Inputs) -> Any:
    settings, pair = inputs.config.engine, inputs.pair
    actor = ray.remote(num_cpus=0, num_gpus=engine_resources(settings)["GPU"])(EngineActor)
    return actor.remote(
        pair.engine_folder, settings, inputs.context_length, pair_arguments(pair), len(pair.endpoints) - 1
    )


def run_deep_check(inputs: Inputs, tell: Callable[[str], None]) -> None:
    """Does the deep check, whatever earlier checks said.

    Args:
        inputs: The opened run.
        tell: Called with a line of text for each part that has passed.

    Raises:
        UserError: The swap is not sound, or an engine does not start on this pair.
    """
    with ray_cluster(partial(own_store, inputs)):
        _, check = prepare(inputs, tell, deep=True)
        with closing(check):
            check.wait()
