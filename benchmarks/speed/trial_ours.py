"""Our side of `benchmarks.speed.trial`, each function in a process of its own."""

from __future__ import annotations

import cProfile
import itertools
import json
import logging
import pstats
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ama_ray.miniature import ROOT
from benchmarks.speed.swap import endpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.config import RunConfig
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.evaluation.inputs import Inputs

PROBES = {"facts": 0, "sums": 6, "reversal": 9, "translation": 10}
"""Tokens of an answer; none for a choice."""
REPEATS = 5


def time_search(folder: Path, trials: int, threads: int) -> dict[str, Any]:
    """Seconds from one trial's end to the next one's in a search with one engine, and where they went."""
    import ray

    from ama_ray import search
    from ama_ray.tuning.ray_internals import on_loopback

    ended: list[float] = []

    def note(line: str) -> None:
        if line.startswith("trial "):
            ended.append(time.perf_counter())

    with on_loopback():
        ray.init(
            address="local",
            num_cpus=threads,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    config = _config(folder, threads, replies=1, trials=trials)
    pareto = search(config, progress=note)
    ray.shutdown()
    half = next(trial for trial in pareto.trials if set(trial.ratios.values()) == {0.5})
    assert half.search is not None
    found = [trial.seconds for trial in pareto.trials if trial.seconds]
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    return {
        "seconds": (ended[-1] - ended[0]) / (len(ended) - 1),
        "scores": {name: probe.score for name, probe in half.search.probes.items()},
        "stages": {stage: median(each[stage] for each in found) for stage in found[0]},
        "to_first_trial": summary["timing"]["to_first_trial"],
    }


def time_loop(folder: Path, threads: int) -> dict[str, Any]:
    """Seconds to export a merge, start an engine on it and score it; imports are over by then."""
    import vllm  # noqa: F401

    from ama_ray.checkpoints import merging
    from ama_ray.engine.in_process import InProcessEngine

    inputs = _inputs(folder, threads, replies=1)
    start = time.perf_counter()
    halves = dict.fromkeys(inputs.groups.names, 0.5)
    merging.export(inputs.pair, inputs.groups.shares_of(halves), folder / "merge")
    engine = InProcessEngine(folder / "merge", inputs.config.engine, inputs.context_length)
    evaluation = inputs.evaluations["search"]
    answers = evaluation.ask(engine)
    items = evaluation.measure(answers, answers).items
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "scores": {name: float(items[name][:, 0].mean()) for name in PROBES}}


def profile_host(folder: Path, threads: int) -> dict[str, Any]:
    """Of a trial with 128 replies, the share outside vLLM, and our functions that take most by themselves."""
    from ama_ray.engine.in_process import InProcessEngine

    inputs = _inputs(folder, threads, replies=128)
    engine = InProcessEngine(inputs.pair.engine_folder, inputs.config.engine, inputs.context_length)
    engine.attach(endpoints(engine, inputs.pair, inputs.groups))
    evaluation, names = inputs.evaluations["search"], inputs.groups.names
    engine.swap(dict.fromkeys(names, 0.0))
    base = evaluation.ask(engine)
    ratio = itertools.cycle((0.3, 0.6))

    def trial() -> None:
        engine.swap(dict.fromkeys(names, next(ratio)))
        evaluation.evaluate(engine, lambda: base)

    trial()
    inside = _timed(engine)
    start = time.perf_counter()
    for _ in range(REPEATS):
        trial()
    seconds = (time.perf_counter() - start) / REPEATS
    in_vllm = sum(inside) / REPEATS
    profiler = cProfile.Profile()
    profiler.runcall(trial)
    own = {
        f"{Path(file).stem}.{name}": times[2]
        for (file, _, name), times in pstats.Stats(profiler).stats.items()  # type: ignore[attr-defined]
        if "ama_ray" in Path(file).parts and "site-packages" not in file
    }
    most = sorted(own, key=lambda name: own[name], reverse=True)[:6]
    return {
        "seconds": seconds,
        "outside": 1 - in_vllm / seconds,
        "functions": {name: own[name] for name in most},
    }


def _timed(engine: InProcessEngine) -> list[float]:
    """Has the time of every call of vLLM's noted from here on, the swap included."""
    inside: list[float] = []

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                inside.append(time.perf_counter() - start)

        return noted

    inner = engine._llm.llm_engine
    for owner, methods in ((inner, ("add_request", "step")), (engine._llm, ("collective_rpc", "reset_prefix_cache"))):
        for method in methods:
            setattr(owner, method, timed(getattr(owner, method)))
    return inside


def _inputs(folder: Path, threads: int, replies: int) -> Inputs:
    from ama_ray.evaluation.inputs import Inputs

    return Inputs.open(_config(folder, threads, replies))


def _config(folder: Path, threads: int, replies: int, trials: int = 40) -> RunConfig:
    """The bundled run with four probes of 200 items, and one reply to so many prompts."""
    from ama_ray.config import RunConfig

    fields = RunConfig.load(ROOT / "run.yaml").model_dump(mode="json", exclude_none=True)
    (reward,) = fields["reward"]
    reward["prompts"]["items"] = replies
    reward["sampling"]["n"] = 1
    fields["tax"] = [probe for probe in fields["tax"] if probe["name"] in PROBES]
    for probe in fields["tax"]:
        # The larger half, which is for the report in the bundled run.
        probe["file"], probe["report_file"] = probe["report_file"], probe["file"]
    fields |= {"trials": trials, "unclear_trade": "go-on", "early_stopping": False, "out": str(folder / "out")}
    fields["engine"]["cpus"] = threads
    return RunConfig.parse(fields, "benchmark")
