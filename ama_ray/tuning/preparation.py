"""What a run does once, beside its trials: both endpoints into the object store, the deep check, the base's answers."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from ama_ray import averaging
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import Verdict, VerdictCache
from ama_ray.engine.endpoints import Endpoints
from ama_ray.errors import UserError, one_line
from ama_ray.evaluation import SPLITS
from ama_ray.tuning.cluster import engine_resources
from ama_ray.tuning.engine_actor import EngineActor

if TYPE_CHECKING:
    from ama_ray.evaluation import Answers
    from ama_ray.inputs import Inputs


@dataclass(frozen=True)
class Prepared:
    """What every trial of a run shares: references into Ray's object store, some of them still under way.

    Attributes:
        base: Parameters of base in the engine's layout; once per node, mapped by every engine there.
        aligned: The same of aligned.
        spans: Which of their elements belong to which group.
        base_answers: What the base model answered, by split, for the tax.
        engine_seconds: Wall seconds that the trials waited for these engines, summed over the engines.
        verdict: Of the deep check; here already.
    """

    base: Any
    aligned: Any
    spans: Any
    base_answers: dict[str, Any]
    engine_seconds: float
    verdict: Verdict

    def get_endpoints(self) -> Endpoints:
        """Waits for the endpoints and maps them into this process; on a node that holds them, without a copy."""
        return Endpoints(*ray.get([self.base, self.aligned, self.spans]))

    def get_base_answers(self, split: str) -> Answers:
        """Waits for the answers of the base model."""
        answers: Answers = ray.get(self.base_answers[split])
        return answers


def context_length(inputs: Inputs) -> int:
    """Tokens of context the engines of a run must take: the longest request, or a prompt of the deep check."""
    return max(inputs.context_length, deep_check.CONTEXT)


def prepare(inputs: Inputs, *, deep: bool = False) -> Prepared:
    """Starts an engine that loads both endpoints and asks base, and ends when it has done its part.

    Without GPUs it works beside the engines of the trials while those start; with GPUs it needs the place of one, so
    it is waited for. So is the deep check where it is due.

    Args:
        inputs: The opened run.
        deep: Do the deep check even where its verdict is known.

    Raises:
        UserError: The engine does not start on this pair, or its swap is not sound (the deep check).
    """
    pair, groups, settings = inputs.pair, inputs.groups, inputs.config.engine
    on_gpu = engine_resources(settings)["GPU"] > 0
    cache = VerdictCache(pair, groups, settings, on_gpu=on_gpu)
    verdict = None if deep else cache.read()
    start = time.perf_counter()
    loader = _start(inputs, pair.aligned.folder)
    base = loader.snapshot.remote(pair.base.folder, pair.dtype)
    aligned = loader.snapshot.remote(pair.aligned.folder, pair.dtype)
    shapes = {name: pair.aligned.tensors[name].shape for name in pair.names}
    spans = loader.find_spans.remote(shapes, groups.of)
    attached = loader.attach.remote(base, aligned, spans)
    evaluations = [(split, inputs.evaluations[split]) for split in SPLITS]
    base_ratios = dict.fromkeys(groups.names, 0.0)
    base_answers: dict[str, Any] = {split: loader.ask.remote(base_ratios, each) for split, each in evaluations}
    engines = 0
    if verdict is None:
        engines = 1 if on_gpu else 2
        verdict = _deep_check(loader, attached, list(base_answers.values()), inputs, one_by_one=on_gpu)
        cache.write(verdict)
    elif on_gpu:
        engines = 1
        _wait(list(base_answers.values()), "asking the base model failed")
    waited = engines * (time.perf_counter() - start)
    if not verdict.passed:
        raise deep_check.refusal(verdict, pair, settings)
    return Prepared(base, aligned, spans, base_answers, waited, verdict)


def _start(inputs: Inputs, folder: Path) -> Any:
    settings = inputs.config.engine
    actor = ray.remote(num_cpus=0, num_gpus=engine_resources(settings)["GPU"])(EngineActor)
    return actor.remote(folder, settings, context_length(inputs))


def _deep_check(loader: Any, attached: Any, base_answers: list[Any], inputs: Inputs, *, one_by_one: bool) -> Verdict:
    """Compares the loader after a swap with a fresh engine; `one_by_one` where both need the same GPU."""
    prompts = deep_check.check_prompts(inputs.vocabulary_size)
    ratios = deep_check.check_ratios(inputs.groups.names)
    with tempfile.TemporaryDirectory(prefix="ama_ray-deep-check-") as scratch:
        merge = Path(scratch) / "merge"
        averaging.export(inputs.pair, inputs.groups.ratio_of(ratios), merge)
        fresh = None if one_by_one else _start(inputs, merge)
        _wait(loader.start.remote(), f"vLLM does not start on {inputs.pair.aligned.folder}")
        _wait(attached, f"vLLM does not load {inputs.pair.aligned.folder} so that its weights can be swapped")
        _wait(base_answers, "asking the base model failed")
        swapped = _wait(
            loader.greedy_after_swap.remote(ratios, prompts, deep_check.NEW_TOKENS), "the deep check failed"
        )
        ray.kill(loader)
        fresh = fresh or _start(inputs, merge)
        expected = _wait(fresh.greedy.remote(prompts, deep_check.NEW_TOKENS), "the deep check failed")
        ray.kill(fresh)
    return deep_check.compare(swapped, expected, inputs.config.engine)


def _wait(reference: Any, trouble: str) -> Any:
    """The value of a reference; a failure of the engine behind it as one sentence."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise UserError(f"{trouble}: {one_line(error)}") from error
