"""`search()`: from a run file to the Pareto set."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from ray import tune
from ray.tune.stopper import CombinedStopper

from ama_ray.config import RunConfig
from ama_ray.constraints import Constraints
from ama_ray.inputs import Inputs
from ama_ray.objectives import Objectives
from ama_ray.parametrisation import parametrisation
from ama_ray.pareto import ParetoSet
from ama_ray.progress import Doing, Finished, Opened, Started, Stopping, Teller, lines, trial_line
from ama_ray.report import write_report
from ama_ray.tuning import callbacks, samplers
from ama_ray.tuning.cluster import Slots, engine_resources, ray_cluster
from ama_ray.tuning.forgetting import no_state_of_tune
from ama_ray.tuning.futility import FutilityStopper
from ama_ray.tuning.interrupts import Interrupts, interrupts
from ama_ray.tuning.latest_first import LatestFirst
from ama_ray.tuning.memory import check_stores, engine_bytes, own_store
from ama_ray.tuning.mirror import mirrored
from ama_ray.tuning.preparation import prepare
from ama_ray.tuning.recorder import EndStopper, Recorder
from ama_ray.tuning.reward_pool import reward_pools
from ama_ray.tuning.run_folder import Resume, RunFolder, finished, held
from ama_ray.tuning.schedule import Schedule
from ama_ray.tuning.searcher import ParetoSearcher
from ama_ray.tuning.study import open_study
from ama_ray.tuning.timing import Clock, Timing
from ama_ray.tuning.trainable import Plan, PlanReference, SwapTrial
from ama_ray.tuning.travel import send_scorers_by_value
from ama_ray.tuning.warm_start import first_points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ama_ray.parametrisation import Parametrisation
    from ama_ray.progress import Listener
    from ama_ray.trial import Trial
    from ama_ray.tuning.preparation import Prepared
    from ama_ray.tuning.warm_start import Point


def search(
    run: str | Path | RunConfig | None = None,
    *,
    resume: Resume = "auto",
    progress: Callable[[str], None] | None = None,
    listen: Listener | None = None,
    began: float | None = None,
    **fields: Any,
) -> ParetoSet:
    """Searches the ratios of a pair and returns the Pareto set.

    Args:
        run: A run file or a `RunConfig`; None where all is given as keyword arguments.
        resume: Where `out` holds a run already: `auto` goes on with it, `never` refuses. `must` refuses where it holds
            none.
        progress: Called with a line of text as the run proceeds.
        listen: Called with every event instead (`ama_ray.progress`), where lines are not enough.
        began: `time.perf_counter()` of when the user asked, where imports since then are to count; default: now.
        fields: Fields of `RunConfig`; they replace those of a run file.

    Returns:
        The front, with every trial. The folder `out` has `trials.csv`, `front.csv`, `front.png`,
        `convergence.csv`, `convergence.png`, `summary.json` and `run.yaml` as resolved.

    Raises:
        UserError: Something about the run is off; one sentence that names it.
        Interrupted: SIGINT or SIGTERM came (a `KeyboardInterrupt`); what was finished is on disk, and the same call
            goes on with it. Its `front` is the one so far, where there is one.
    """
    clock = Clock(began)
    clock.lap("import")
    config = _config(run, fields)
    callbacks.make(config)  # what cannot be made is said before anything is started
    with ExitStack() as stack:
        stack.enter_context(held(config.out))
        signals = stack.enter_context(interrupts())
        tell = Teller(listen or (progress and lines(progress)))
        signals.notice = lambda: tell.send(Stopping())
        keep = stack.enter_context(mirrored(config, tell))
        return _search(config, resume, tell, clock, signals, keep=keep)


def _search(
    config: RunConfig,
    resume: Resume,
    tell: Teller,
    clock: Clock,
    signals: Interrupts,
    *,
    keep: Callable[[], None],
) -> ParetoSet:
    tell.send(Doing("opening the pair and its data"))
    inputs = Inputs.open(config)
    for warning in inputs.pair.warnings:
        tell(f"warning: {warning}")
    samplers.check(config.sampler, len(config.reward_objectives) + 1)
    shape = parametrisation(inputs.groups.ranges, config.mean_ratio)
    folder = RunFolder.start(inputs, resume)
    config = inputs.config
    earlier = ParetoSet(folder.trials, config)
    tell.send(Opened(config, earlier))
    if folder.trials:
        tell(f"{config.out}: {len(earlier.searched)} of {config.trials} trials are there; going on")
    if done := finished(config.out, len(earlier.searched), config):
        tell(f"{config.out}: {done}; raise `trials` to go on")
        return earlier
    first = first_points(inputs, shape, tell)
    clock.lap("open")
    size = f"{inputs.pair.num_bytes / 1e6:.1f} MB, {len(inputs.groups.names)} ratios"
    tell(f"pair of {size}, {config.trials} trials; starting engines")

    def on_trial(trial: Trial) -> None:
        if "first trial" not in clock.laps:
            clock.lap("first trial")
        keep()
        so_far = ParetoSet(recorder.trials, config, "search") if trial.split == "search" else None
        line = trial_line(trial, config.trials, so_far.hypervolume if so_far else math.nan)
        tell.send(Finished(trial, line, so_far, slots(), slots.nodes, recorder.stage_seconds))

    recorder = Recorder(config.out, on_trial, tell, earlier, lambda number, split: tell.send(Started(number, split)))
    with ExitStack() as stack:
        tell.send(Doing("starting Ray"))
        stack.enter_context(send_scorers_by_value(inputs.evaluations["search"].rewards))
        stack.enter_context(ray_cluster(partial(own_store, inputs)))
        signals.catch()
        check_stores(inputs)
        inputs = replace(inputs, evaluations=stack.enter_context(reward_pools(inputs.evaluations, config.engine)))
        slots = Slots(config, engine_bytes(inputs, on_gpu=engine_resources(config.engine)["GPU"] > 0), tell)
        clock.lap("ray")
        tell.send(Doing("loading both checkpoints, and the deep check where it is due"))
        prepared = prepare(inputs, tell, keep=slots.of_several_nodes)
        clock.lap("deep check")
        tell(f"deep check passed: {prepared.verdict}")
        tell.send(Doing("starting engines"))
        searcher = _searcher(inputs, shape, first, folder, slots=slots(), tell=tell)
        ended = _tune(inputs, prepared, searcher, recorder, slots=slots, signals=signals)
        engines = slots()
    recorder.say_why_it_ended(config.trials, ended)
    pareto = ParetoSet(recorder.trials, config)
    engine_start = prepared.engine_seconds + sum(recorder.engine_seconds.values())
    timing = Timing.of(recorder.stage_seconds, clock.elapsed, engines, engine_start)
    write_report(
        pareto,
        config.out,
        timing.to_dict() | {"to_first_trial": clock.laps},
        ended,
        interrupted=signals.received is not None,
    )
    signals.check(pareto)
    tell(f"first trial after {clock}")
    tell(str(timing))
    return pareto


def _config(run: str | Path | RunConfig | None, fields: dict[str, Any]) -> RunConfig:
    if run is None:
        return RunConfig.from_arguments(**fields)
    if isinstance(run, RunConfig):
        return RunConfig.from_arguments(**(run.model_dump() | fields))
    return RunConfig.load(run, **fields)


def _searcher(
    inputs: Inputs,
    shape: Parametrisation,
    first: Sequence[Point],
    folder: RunFolder,
    *,
    slots: int,
    tell: Callable[[str], None],
) -> ParetoSearcher:
    config, objectives, constraints = inputs.config, Objectives.of(inputs.config), Constraints.of(inputs.config)
    in_study = sum(shape.expresses(point.ratios) for point in first)
    setting = samplers.Setting(
        ranges=shape.ranges,
        objectives=objectives,
        trials=config.trials,
        parallel=slots,
        first=in_study,
        seed=config.seed,
        known=len(folder.trials),
        moved=inputs.groups.moved(inputs.pair.moved),
        constraints=constraints,
        reference=config.reference,
    )
    sampler, chosen = samplers.make(config.sampler, setting)
    tell(f"sampler: {chosen}")
    study = open_study(folder, config.storage, len(objectives.names), sampler)
    return ParetoSearcher(shape, objectives, study, first, constraints, finished=folder.trials, tell=tell)


def _tune(
    inputs: Inputs,
    prepared: Prepared,
    searcher: ParetoSearcher,
    recorder: Recorder,
    *,
    slots: Slots,
    signals: Interrupts,
) -> str:
    """Runs the trials; returns why the search ended before its last trial, as `Schedule.ended`."""
    config = inputs.config
    torch.set_num_threads(1)  # the sampler's threads would take the engines' cores
    objectives = Objectives.of(config)
    plan = PlanReference.of(Plan(inputs.evaluations, objectives, prepared), config.engine.timeout)
    resources = {kind.lower(): amount for kind, amount in slots.want.items()}
    stop = CombinedStopper(EndStopper(recorder, signals), FutilityStopper(recorder, objectives, config.trials, config))
    schedule = Schedule(inputs, objectives, searcher, recorder, slots)
    with tempfile.TemporaryDirectory(prefix="ama_ray-tune-") as scratch, no_state_of_tune():
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(SwapTrial, plan=plan), resources),
            tune_config=tune.TuneConfig(
                search_alg=schedule,
                scheduler=LatestFirst(),
                num_samples=-1,  # until the schedule is finished
                max_concurrent_trials=slots.most + slots.waiting,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                callbacks=[recorder, *callbacks.make(config)],
                stop=stop,
                verbose=0,
                failure_config=tune.FailureConfig(),  # the schedule tries again
                # With a checkpoint, though there is nothing in it, Tune keeps the items of every trial.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        signals.check()
        signals.deferred = True
        tuner.fit()
        signals.deferred = False
    schedule.settle()
    return schedule.ended
