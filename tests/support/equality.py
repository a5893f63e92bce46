"""Is a swap what vLLM makes of the export? Runs in a process of its own, by `in_own_process`."""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.engine import deep_check
from ama_ray.engine.arguments import pair_arguments
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.endpoints import Endpoints, StoredTensor
from ama_ray.engine.in_process import InProcessEngine, plain_greedy_logprobs
from ama_ray.engine.verdict import compare
from ama_ray.space.search_space import SearchSpace
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ama_ray.config import EngineSettings
    from ama_ray.engine.deep_check import Checked
    from ama_ray.engine.verdict import Outputs, Verdict
    from ama_ray.space.groups import Groups


@dataclass(frozen=True)
class Answers:
    """What one pair showed in an engine that was started on base.

    Attributes:
        verdict: Of the deep check.
        merge: Answers after a swap to its first ratios.
        base: The same after a swap to 0, and of the engine that was started on base.
        aligned: The same after a swap to 1, and of a fresh engine on aligned.
        repeats: 0.3, 0.9 and 0.3 again give the first outputs to the last bit, and 0.9 others.
        prompts: What was asked.
    """

    verdict: Verdict
    merge: Outputs
    base: tuple[Outputs, Outputs]
    aligned: tuple[Outputs, Outputs]
    repeats: bool
    prompts: list[list[int]]


@dataclass(frozen=True)
class Result:
    """What is left of the answers.

    Attributes:
        verdict: Of the deep check.
        plain: How many prompts have equal tokens in plain vLLM on the export, and the largest difference of their
            log-probabilities; this knows nothing of the project's code but the export.
        ends: The same for base and aligned, against fresh engines.
        repeats: See `Answers`.
        prompts: How many prompts there were.
        merge: Answers after a swap to the first ratios of the deep check.
    """

    verdict: Verdict
    plain: tuple[int, float]
    ends: tuple[tuple[int, float], tuple[int, float]]
    repeats: bool
    prompts: int
    merge: Outputs


def kept(parameters: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Copies of a snapshot, which is a view of live weights; in a run the object store makes this copy."""
    return {name: replace(stored, array=stored.array.copy()) for name, stored in parameters.items()}


def endpoints(engine: InProcessEngine, pair: Pair, groups: Groups) -> Endpoints:
    """The endpoints, got from one engine as in a run. Leaves the last aligned model live."""
    spans = engine.find_spans(pair.shapes, pair.dtypes, pair.numbers(groups))
    names = engine.parameter_bytes
    found = []
    for checkpoint, of_each in zip(pair.endpoints, (None, *spans), strict=True):
        engine.load_checkpoint(checkpoint)
        found.append(kept(engine.snapshot(names, pair.dtype, of_each)))
    return Endpoints(found[0], found[1:], spans)


def drop(engine: InProcessEngine) -> None:
    """Frees an engine, so that another can start in this process."""
    from vllm.distributed import cleanup_dist_env_and_memory

    vars(engine).clear()
    gc.collect()
    cleanup_dist_env_and_memory()


def checked(
    folder: Path, space: str | dict[str, Any], settings: EngineSettings, *, by_workers: bool
) -> tuple[Checked, list[list[int]]]:
    """The deep check of `folder/base` and `folder/aligned`, with what it asked."""
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"), settings.dtype)
    groups = SearchSpace.load(space).resolve(pair.names)
    subject = Subject.of(pair, groups, settings)
    engine = InProcessEngine(pair.engine_folder, settings, deep_check.CONTEXT, pair_arguments(pair))
    engine.call_workers("keep", deep_check.START)
    if by_workers:
        engine.attach_pair(subject.sources, pair.checksum, pair.numbers(groups))
    else:
        engine.attach(endpoints(engine, pair, groups))
    return deep_check.check(engine, subject), subject.prompts


def exactness(
    folder: Path, space: str | dict[str, Any], settings: EngineSettings, *, by_workers: bool = False
) -> tuple[Verdict, tuple[int, float]]:
    """The deep check, and how plain vLLM on the export compares; each in a process of its own.

    Args:
        folder: Of `base` and `aligned`.
        space: The search space.
        settings: Of the engines. Their precision is that of the merge, where the checkpoints are in more.
        by_workers: Whether the workers read the pair themselves, as on a server and on several GPUs.

    Returns:
        The verdict; how many prompts have equal tokens in plain vLLM, with the largest difference of their
        log-probabilities, which is infinite where the deep check has not passed.
    """
    found, prompts = in_own_process(checked, folder, space, settings, by_workers=by_workers)
    if not found.verdict.passed:
        return found.verdict, (0, math.inf)
    return found.verdict, compare(found.answers, plain_answers(folder, space, settings, prompts))


def plain_answers(
    folder: Path, space: str | dict[str, Any], settings: EngineSettings, prompts: list[list[int]]
) -> Outputs:
    """Answers of plain vLLM to the export of the first ratios of the deep check, which goes to `folder/merge`."""
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"), settings.dtype)
    groups = SearchSpace.load(space).resolve(pair.names)
    ratios, _ = deep_check.check_ratios(groups.names)
    merging.export(pair, groups.shares_of(ratios), folder / "merge")
    return in_own_process(
        plain_greedy_logprobs, folder / "merge", settings, deep_check.CONTEXT, prompts, deep_check.NEW_TOKENS
    )


def ask(
    folder: Path,
    space: str | dict[str, Any],
    settings: EngineSettings,
    spoil: Callable[[], None] | None = None,
) -> Answers:
    """Checks one pair.

    Args:
        folder: Of `base` and `aligned`.
        space: The search space.
        settings: Of the engines.
        spoil: What to break in this process before vLLM starts.
    """
    if spoil:
        spoil()
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"))
    groups = SearchSpace.load(space).resolve(pair.names)
    subject = Subject.of(pair, groups, settings)

    def outputs(engine: InProcessEngine) -> Outputs:
        engine.reset_cache()
        return engine.greedy_logprobs(subject.prompts, deep_check.NEW_TOKENS)

    def swapped(engine: InProcessEngine, to: Mapping[str, float]) -> Outputs:
        engine.swap(to)
        return outputs(engine)

    def uniform(ratio: float) -> dict[str, float]:
        return dict.fromkeys(groups.names, ratio)

    engine = InProcessEngine(pair.aligned.folder, settings, deep_check.CONTEXT)
    engine.call_workers("keep", deep_check.START)
    fresh_aligned = outputs(engine)
    engine.attach(endpoints(engine, pair, groups))
    verdict = deep_check.check(engine, subject).verdict
    merge = swapped(engine, subject.ratios[0])
    swapped_base, swapped_aligned = (swapped(engine, uniform(ratio)) for ratio in (0.0, 1.0))
    there, away, back = (swapped(engine, uniform(ratio)) for ratio in (0.3, 0.9, 0.3))
    drop(engine)
    fresh = InProcessEngine(pair.base.folder, settings, deep_check.CONTEXT)
    return Answers(
        verdict,
        merge,
        (swapped_base, outputs(fresh)),
        (swapped_aligned, fresh_aligned),
        there == back and there != away,
        subject.prompts,
    )


def check(
    folder: Path,
    space: str | dict[str, Any],
    settings: EngineSettings,
    spoil: Callable[[], None] | None = None,
) -> Result:
    """Checks `folder/base` and `folder/aligned`, each vLLM in a process of its own; see `ask`."""
    found = in_own_process(ask, folder, space, settings, spoil)
    plain = plain_answers(folder, space, settings, found.prompts)
    return Result(
        found.verdict,
        compare(found.merge, plain),
        (compare(*found.base), compare(*found.aligned)),
        found.repeats,
        len(found.prompts),
        found.merge,
    )
