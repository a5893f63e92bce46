"""What a run does once, beside its trials: both endpoints into the object store, the deep check, the base's answers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from ama_ray import averaging
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import Verdict, VerdictCache
from ama_ray.engine.endpoints import Endpoints
from ama_ray.errors import UserError
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
        base_answers: What the base model answered, for the tax.
        engine_seconds: Wall seconds of the engine starts that the run waited for, summed.
        verdict: Of the deep check; here already.
    """

    base: Any
    aligned: Any
    spans: Any
    base_answers: Any
    engine_seconds: float
    verdict: Verdict

    def get_endpoints(self) -> Endpoints:
        """Waits for the endpoints and maps them into this process; on a node that holds them, without a copy."""
        return Endpoints(*ray.get([self.base, self.aligned, self.spans]))

    def get_base_answers(self) -> Answers:
        """Waits for the answers of the base model."""
        answers: Answers = ray.get(self.base_answers)
        return answers


def context_length(inputs: Inputs) -> int:
    """Tokens of context the engines of a run must take: the longest request, or a prompt of the deep check."""
    return max(inputs.evaluation.context_length, deep_check.CONTEXT)


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
    cache = VerdictCache(pair, settings, on_gpu=on_gpu)
    verdict = None if deep else cache.read()
    loader = _start(inputs, pair.aligned.folder)
    seconds = [loader.start_seconds.remote()]
    base = loader.snapshot.remote(pair.base.folder, pair.dtype)
    aligned = loader.snapshot.remote(pair.aligned.folder, pair.dtype)
    shapes = {name: pair.aligned.tensors[name].shape for name in pair.names}
    spans = loader.find_spans.remote(shapes, groups.of)
    attached = loader.attach.remote(base, aligned, spans)
    if verdict is None:
        with tempfile.TemporaryDirectory(prefix="ama_ray-deep-check-") as scratch:
            merge = Path(scratch) / "merge"
            averaging.export(pair, groups.ratio_of(deep_check.check_ratios(groups.names)), merge)
            fresh = _start(inputs, merge)
            seconds.append(fresh.start_seconds.remote())
            _wait(seconds, f"vLLM does not start on {pair.aligned.folder}")
            _wait(attached, f"vLLM does not load {pair.aligned.folder} so that its weights can be swapped")
            verdict = _deep_check(loader, fresh, inputs)
        cache.write(verdict)
    if not verdict.passed:
        raise deep_check.refusal(verdict, pair, settings)
    loader.swap.remote(dict.fromkeys(groups.names, 0.0))
    base_answers = loader.ask.remote(inputs.evaluation)
    if on_gpu:
        _wait(base_answers, "asking the base model failed")
    waited = sum(ray.get(seconds)) if on_gpu or not verdict.cached else 0.0
    return Prepared(base, aligned, spans, base_answers, waited, verdict)


def _start(inputs: Inputs, folder: Path) -> Any:
    settings = inputs.config.engine
    actor = ray.remote(num_cpus=0, num_gpus=engine_resources(settings)["GPU"])(EngineActor)
    return actor.remote(folder, settings, context_length(inputs))


def _deep_check(loader: Any, fresh: Any, inputs: Inputs) -> Verdict:
    prompts = deep_check.check_prompts(int(inputs.pair.aligned.config["vocab_size"]))
    _wait(loader.swap.remote(deep_check.check_ratios(inputs.groups.names)), "the swap of the deep check failed")
    outputs = [engine.greedy.remote(prompts, deep_check.NEW_TOKENS) for engine in (loader, fresh)]
    swapped, expected = _wait(outputs, "the deep check failed")
    return deep_check.compare(swapped, expected, inputs.config.engine)


def _wait(reference: Any, trouble: str) -> Any:
    """The value of a reference; a failure of the engine behind it as one sentence."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        lines = [line for line in str(getattr(error, "cause", None) or error).strip().splitlines() if line.strip()]
        raise UserError(f"{trouble}: {lines[-1].strip()}") from error
