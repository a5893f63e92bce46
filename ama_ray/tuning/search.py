"""`search()`: from a run file to the Pareto set."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import optuna
import torch
from ray import tune
from ray.tune.stopper import CombinedStopper

from ama_ray.config import RunConfig
from ama_ray.constraints import Constraints
from ama_ray.errors import UserError
from ama_ray.inputs import Inputs
from ama_ray.objectives import Objectives
from ama_ray.parametrisation import parametrisation
from ama_ray.pareto import ParetoSet
from ama_ray.report import write_report
from ama_ray.tuning import samplers
from ama_ray.tuning.cluster import engine_resources, engine_slots, ray_cluster
from ama_ray.tuning.futility import FutilityStopper
from ama_ray.tuning.memory import check_stores, engine_bytes, own_store
from ama_ray.tuning.preparation import context_length, prepare
from ama_ray.tuning.recorder import FailureStopper, Recorder
from ama_ray.tuning.reward_pool import reward_pools
from ama_ray.tuning.schedule import Schedule
from ama_ray.tuning.searcher import ParetoSearcher
from ama_ray.tuning.timing import Clock, Timing
from ama_ray.tuning.trainable import Plan, PlanReference, SwapTrial
from ama_ray.tuning.travel import send_scorers_by_value
from ama_ray.tuning.warm_start import first_points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ama_ray.parametrisation import Parametrisation
    from ama_ray.trial import Trial
    from ama_ray.tuning.preparation import Prepared
    from ama_ray.tuning.warm_start import Point


def search(
    run: str | Path | RunConfig | None = None,
    *,
    progress: Callable[[str], None] | None = None,
    began: float | None = None,
    **fields: Any,
) -> ParetoSet:
    """Searches the ratios of a pair and returns the Pareto set.

    Args:
        run: A run file or a `RunConfig`; None where all is given as keyword arguments.
        progress: Called with a line of text as the run proceeds.
        began: `time.perf_counter()` of when the user asked, where imports since then are to count; default: now.
        fields: Fields of `RunConfig`; they replace those of a run file.

    Returns:
        The front, with every trial. The folder `out` has `trials.csv`, `front.csv`, `front.png`,
        `convergence.csv`, `convergence.png`, `summary.json` and `run.yaml` as resolved.

    Raises:
        UserError: Something about the run is off; one sentence that names it.
    """
    clock = Clock(began)
    clock.lap("import")
    tell = progress or (lambda line: None)
    config = _config(run, fields)
    _make_empty(config.out)
    inputs = Inputs.open(config)
    for warning in inputs.pair.warnings:
        tell(f"warning: {warning}")
    samplers.check(config.sampler, len(config.reward_objectives) + 1)
    shape = parametrisation(inputs.groups.ranges, config.mean_ratio)
    first = first_points(inputs, shape, tell)
    (config.out / "run.yaml").write_text(inputs.config.to_yaml(), encoding="utf-8")
    megabytes, groups = inputs.pair.num_bytes / 1e6, len(inputs.groups.names)
    clock.lap("open")
    tell(f"pair of {megabytes:.1f} MB, {groups} ratios, {config.trials} trials; starting engines")
    with ExitStack() as stack:
        stack.enter_context(send_scorers_by_value(inputs.evaluations["search"].rewards))
        stack.enter_context(ray_cluster(own_store(inputs)))
        check_stores(inputs)
        inputs = replace(inputs, evaluations=stack.enter_context(reward_pools(inputs.evaluations, config.engine)))
        slots = engine_slots(config, engine_bytes(inputs))
        clock.lap("ray")
        prepared = prepare(inputs, tell)
        clock.lap("deep check")
        tell(f"deep check passed: {prepared.verdict}")

        def on_trial(trial: Trial) -> None:
            if len(recorder.trials) == 1:
                clock.lap("first trial")
            tell(_line(trial, config, recorder.trials))

        recorder = Recorder(config.out, on_trial)
        searcher = _searcher(inputs, shape, first, slots, tell)
        ended = _tune(inputs, prepared, searcher, recorder, slots)
        if recorder.failing:
            why = f"{config.out}: the search stopped, as its last trials all failed: {recorder.last_failure}"
            if recorder.finished("search") < config.trials and not ended:
                raise UserError(why)
            tell(why)
        engine_start = prepared.engine_seconds + sum(recorder.engine_seconds.values())
    if recorder.finished("search") < config.trials:
        because = f": {ended}" if ended else ""
        tell(f"stopped after {recorder.finished('search')} of {config.trials} trials{because}")
    pareto = ParetoSet(recorder.trials, inputs.config)
    timing = Timing.of(recorder.stage_seconds, clock.elapsed, slots, engine_start)
    write_report(pareto, config.out, timing.to_dict() | {"to_first_trial": clock.laps})
    tell(f"first trial after {clock}")
    tell(str(timing))
    return pareto


def _config(run: str | Path | RunConfig | None, fields: dict[str, Any]) -> RunConfig:
    if run is None:
        return RunConfig.from_arguments(**fields)
    if isinstance(run, RunConfig):
        return RunConfig.from_arguments(**(run.model_dump() | fields))
    return RunConfig.load(run, **fields)


def _make_empty(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        empty = not any(out.iterdir())
    except OSError as error:
        raise UserError(f"{out}: cannot be the folder of a run ({error.strerror}); give `out` another one.") from None
    if not empty:
        raise UserError(f"{out}: this folder is not empty; give `out` another folder, or remove this one.")


def _searcher(
    inputs: Inputs, shape: Parametrisation, first: Sequence[Point], slots: int, tell: Callable[[str], None]
) -> ParetoSearcher:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    config, objectives, constraints = inputs.config, Objectives.of(inputs.config), Constraints.of(inputs.config)
    in_study = sum(shape.expresses(point.ratios) for point in first)
    setting = samplers.Setting(
        ranges=shape.ranges,
        objectives=objectives,
        trials=config.trials,
        parallel=slots,
        first=in_study,
        seed=config.seed,
        moved=inputs.groups.moved(inputs.pair.moved),
        constraints=constraints,
        reference=config.reference,
    )
    sampler, chosen = samplers.make(config.sampler, setting)
    tell(f"sampler: {chosen}")
    return ParetoSearcher(shape, objectives, sampler, first, constraints)


def _tune(inputs: Inputs, prepared: Prepared, searcher: ParetoSearcher, recorder: Recorder, slots: int) -> str:
    """Runs the trials; returns why the search ended before its last trial, as `Schedule.ended`."""
    config = inputs.config
    torch.set_num_threads(1)  # the sampler's threads would take the engines' cores
    objectives = Objectives.of(config)
    plan = Plan(
        inputs.pair.engine_folder, config.engine, context_length(inputs), inputs.evaluations, objectives, prepared
    )
    resources = {kind.lower(): amount for kind, amount in engine_resources(config.engine, engine_bytes(inputs)).items()}
    stop = CombinedStopper(FailureStopper(recorder), FutilityStopper(recorder, objectives, config.trials, config))
    schedule = Schedule(inputs, objectives, searcher, recorder, slots)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(SwapTrial, plan=PlanReference.of(plan)), resources),
        tune_config=tune.TuneConfig(
            search_alg=schedule,
            num_samples=-1,  # until the schedule is finished
            # One more than there are engines: the next ratios are suggested while all of them work.
            max_concurrent_trials=slots + 1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(config.out),
            callbacks=[recorder],
            stop=stop,
            verbose=0,
            failure_config=tune.FailureConfig(),
        ),
    ).fit()
    return schedule.ended


def _line(trial: Trial, config: RunConfig, so_far: Sequence[Trial]) -> str:
    trials = config.trials
    volume = ParetoSet(so_far, config, "search").hypervolume if trial.split == "search" else math.nan
    won = "" if math.isnan(volume) else f"; hypervolume {volume:.3f}"
    if trial.state == "stopped":
        scores = ", ".join(f"{name} about {each.value:.3f}" for name, each in trial.objectives.items())
        return f"trial {trial.number} of {trials} (sampler): stopped early, {scores}{won}"
    which = f"trial {trial.number} of {trials}" if trial.split == "search" else f"report: trial {trial.number}"
    if not trial.scores:
        return f"{which} failed: {trial.reason}"
    scores = ", ".join(f"{name} {each.value:.3f} ± {each.se:.3f}" for name, each in trial.objectives.items())
    return f"{which} ({trial.origin}): {scores}{won}"
