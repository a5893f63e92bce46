"""Is a swap the same as a fresh engine on the export? Runs in a process of its own, by `in_own_process`."""

from __future__ import annotations

import gc
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.engine import deep_check
from ama_ray.engine.endpoints import Endpoints, StoredTensor
from ama_ray.engine.in_process import InProcessEngine
from ama_ray.space.search_space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.config import EngineSettings
    from ama_ray.engine.deep_check import Outputs, Verdict
    from ama_ray.space.search_space import Groups


@dataclass(frozen=True)
class Result:
    """What one pair showed.

    Attributes:
        merge: Swapped to the deep check's ratios, against a fresh engine on the export.
        base: Swapped to 0, against the engine that was started on base.
        aligned: Swapped to 1, against the same engine having loaded aligned.
        repeats: 0.3, 0.9 and 0.3 again give the first outputs to the last bit, and 0.9 others.
        refusal: What a user would read if `merge` did not pass.
    """

    merge: Verdict
    base: Verdict
    aligned: Verdict
    repeats: bool
    refusal: str


def kept(parameters: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Copies of a snapshot, which is a view of live weights; in a run the object store makes this copy."""
    return {name: replace(stored, array=stored.array.copy()) for name, stored in parameters.items()}


def endpoints(engine: InProcessEngine, pair: Pair, groups: Groups) -> Endpoints:
    """Both endpoints, got from one engine as in a run. Leaves aligned live."""
    shapes = {name: pair.aligned.tensors[name].shape for name in pair.names}
    spans = engine.find_spans(shapes, {name: groups.of[name] for name in pair.names if pair.moved[name]})
    names = engine.parameter_bytes
    engine.load_checkpoint(pair.base)
    base = kept(engine.snapshot(names, pair.dtype))
    engine.load_checkpoint(pair.aligned)
    return Endpoints(base, kept(engine.snapshot(names, pair.dtype, spans)), spans)


def drop(engine: InProcessEngine) -> None:
    """Frees an engine, so that another can start in this process."""
    from vllm.distributed import cleanup_dist_env_and_memory

    vars(engine).clear()
    gc.collect()
    cleanup_dist_env_and_memory()


def check(base: Path, aligned: Path, scratch: Path, space: str | dict[str, Any], settings: EngineSettings) -> Result:
    """Swaps one pair and compares; `scratch` is a folder for the export, which is deleted again."""
    pair = Pair.open(str(base), str(aligned))
    groups = SearchSpace.load(space).resolve(pair.names)
    ratios = deep_check.check_ratios(groups.names)
    prompts = deep_check.check_prompts(int(pair.aligned.config["vocab_size"]))

    def outputs(engine: InProcessEngine) -> Outputs:
        return engine.greedy_logprobs(prompts, deep_check.NEW_TOKENS)

    def swapped(engine: InProcessEngine, to: Mapping[str, float]) -> Outputs:
        engine.swap(to)
        return outputs(engine)

    def uniform(ratio: float) -> dict[str, float]:
        return dict.fromkeys(groups.names, ratio)

    engine = InProcessEngine(pair.base.folder, settings, deep_check.CONTEXT)
    fresh_base = outputs(engine)
    engine.attach(endpoints(engine, pair, groups))
    merge = swapped(engine, ratios)
    ends = [swapped(engine, uniform(ratio)) for ratio in (0.0, 1.0)]
    there, away, back = (swapped(engine, uniform(ratio)) for ratio in (0.3, 0.9, 0.3))
    drop(engine)

    folder = scratch / "merge"
    merging.export(pair, groups.ratio_of(ratios), folder)
    fresh = InProcessEngine(folder, settings, deep_check.CONTEXT)
    fresh_merge = outputs(fresh)
    shutil.rmtree(folder)
    drop(fresh)
    fresh = InProcessEngine(pair.aligned.folder, settings, deep_check.CONTEXT)
    fresh_aligned = outputs(fresh)
    verdict = deep_check.compare(merge, fresh_merge, settings)
    return Result(
        merge=verdict,
        base=deep_check.compare(ends[0], fresh_base, settings),
        aligned=deep_check.compare(ends[1], fresh_aligned, settings),
        repeats=there == back and there != away,
        refusal=str(deep_check.refusal(verdict, pair, settings)),
    )
