"""`search()`: from a run file to the Pareto set."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ama_ray.config import RunConfig
from ama_ray.config.fields import File
from ama_ray.config.yaml_file import YamlFile
from ama_ray.errors import UserError
from ama_ray.evaluation.doubts import doubts
from ama_ray.evaluation.inputs import Inputs
from ama_ray.evaluation.texts import texts
from ama_ray.evaluation.work import tokens_of_items
from ama_ray.report.write import write_report
from ama_ray.run import StoredRun
from ama_ray.storage.given import Given
from ama_ray.storage.item_texts import ItemTexts
from ama_ray.storage.log import failure_to_log, log_to
from ama_ray.storage.mirror import mirrored
from ama_ray.storage.names import TEXTS
from ama_ray.storage.run_folder import Resume, RunFolder, finished, held
from ama_ray.tuning import callbacks, samplers
from ama_ray.tuning.budget import Spending
from ama_ray.tuning.cluster.memory import check_stores, engine_bytes, own_store
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from ama_ray.tuning.cluster.reward_pool import reward_pools
from ama_ray.tuning.cluster.slots import Slots, engine_resources
from ama_ray.tuning.events import (
    EventEmitter,
    RunOpened,
    StageStarted,
    StopRequested,
    TrialFinished,
    TrialStarted,
    lines,
    trial_line,
)
from ama_ray.tuning.loop import run_trials
from ama_ray.tuning.recorder import Recorder
from ama_ray.tuning.setup import prepare
from ama_ray.tuning.signals import Interrupts, interrupts
from ama_ray.tuning.suggester import study_suggester
from ama_ray.tuning.timing import Clock, Timing
from ama_ray.tuning.warm_start import first_points

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optuna.samplers import BaseSampler
    from ray.tune import Callback

    from ama_ray.scores.trial import Trial
    from ama_ray.tuning.events import Listener
    from ama_ray.tuning.setup import Prepared


def search(
    run: str | Path | RunConfig | None = None,
    *,
    resume: Resume = "auto",
    progress: Callable[[str], None] | None = None,
    listen: Listener | None = None,
    began: float | None = None,
    kind: type[StoredRun] = StoredRun,
    **fields: Any,
) -> StoredRun:
    """Searches the ratios of a pair; see `ama_ray.api.search`. `kind` is the class of what it returns."""
    clock = Clock(began)
    clock.lap("import")
    given = Given.of(fields, _out(run, fields))
    config = _config(run, given.fields)
    trackers = callbacks.make(config, given.callbacks)  # what cannot be made is refused before anything is started
    with ExitStack() as stack:
        stack.enter_context(held(config.out))
        stack.enter_context(log_to(config))
        signals = stack.enter_context(interrupts())
        tell = EventEmitter(listen or (progress and lines(progress)))
        signals.notice = lambda: tell.send(StopRequested())
        keep = stack.enter_context(mirrored(config, tell))
        given.write()
        stack.enter_context(failure_to_log(config))
        return _search(
            config, resume, tell, clock, signals, sampler=given.sampler, trackers=trackers, keep=keep, kind=kind
        )


def _search(
    config: RunConfig,
    resume: Resume,
    tell: EventEmitter,
    clock: Clock,
    signals: Interrupts,
    *,
    sampler: BaseSampler | None,
    trackers: Sequence[Callback],
    keep: Callable[[], None],
    kind: type[StoredRun],
) -> StoredRun:
    tell.send(StageStarted("opening the pair and its data"))
    inputs = Inputs.open(config)
    for warning in inputs.warnings:
        tell(f"warning: {warning}")
    samplers.check(config.sampler, len(config.objectives), sampler)
    spending = Spending.of(config, inputs.evaluations)
    shape = inputs.shape
    config, tokens = inputs.config, tokens_of_items(inputs.evaluations["trade"])
    folder = _started(inputs, tokens, resume)
    earlier = kind(config.out, config, inputs.objectives, folder.trials, inputs.test_data, tokens=tokens)
    tell.send(RunOpened(config, earlier))
    if folder.trials:
        tell(f"{config.out}: {len(earlier.searched)} of {config.trials} trials are there; going on")
    if done := finished(config.out, len(earlier.searched), config, spent=not spending.allows_search(earlier, {})):
        tell(f"{config.out}: {done}")
        return earlier.with_trials(earlier.trials, ended=True)
    first = first_points(inputs, shape, tell)
    clock.lap("open")
    tell(
        f"pair of {inputs.pair.num_bytes / 1e6:.1f} MB, {len(inputs.groups.names)} ratios, {config.trials} trials; "
        "starting engines"
    )

    def on_trial(trial: Trial) -> None:
        check.go_on()
        if "first trial" not in clock.laps:
            clock.lap("first trial")
        keep()
        _tell_doubts(trial, inputs, prepared, tell)
        tell.send(_finished(trial, recorder, slots))

    recorder = Recorder(earlier, on_trial, tell, lambda spec: tell.send(TrialStarted(spec.number, spec.split)))
    with ExitStack() as stack:
        tell.send(StageStarted("starting Ray"))
        stack.enter_context(ray_cluster(partial(own_store, inputs)))
        signals.catch()
        check_stores(inputs)
        inputs = replace(inputs, evaluations=stack.enter_context(reward_pools(inputs.evaluations, config.engine)))
        slots = Slots(config, engine_bytes(inputs, on_gpu=engine_resources(config.engine)["GPU"] > 0), tell)
        clock.lap("ray")
        tell.send(StageStarted("loading both checkpoints, and the deep check where it is due"))
        prepared, check = prepare(inputs, tell, keep=slots.of_several_nodes)
        stack.callback(check.close)
        clock.lap("deep check")
        tell.send(StageStarted("starting engines"))
        suggester = study_suggester(inputs, earlier, folder, shape, first, parallel=slots(), tell=tell, sampler=sampler)
        ended = run_trials(
            *(inputs, prepared, check, suggester, recorder),
            slots=slots,
            signals=signals,
            spending=spending,
            trackers=trackers,
        )
        engines = slots()
    recorder.say_why_it_ended(ended)
    engine_start = prepared.engine_seconds + sum(recorder.engine_seconds.values())
    timing = Timing.of(recorder.stage_seconds, clock.elapsed, engines, engine_start)
    interrupted = signals.received is not None
    run = recorder.run.with_trials(recorder.run.trials, ended=not interrupted)
    write_report(run, timing.to_dict() | {"to_first_trial": clock.laps}, ended, interrupted=interrupted)
    signals.check(run)
    tell(f"first trial after {clock}")
    tell(str(timing))
    return run


def _started(inputs: Inputs, tokens: Mapping[str, float], resume: Resume) -> RunFolder:
    folder = RunFolder.start(inputs.config, inputs.digests, inputs.objectives, inputs.test_data, tokens, resume=resume)
    report = inputs.evaluations["report"]
    ItemTexts(folder.path / TEXTS).write_items(texts(report.rewards, report.probes))
    return folder


def _finished(trial: Trial, recorder: Recorder, slots: Slots) -> TrialFinished:
    so_far = recorder.run.searched_pareto if trial.split == "search" else None
    line = trial_line(trial, recorder.run.config.trials, so_far.hypervolume if so_far else math.nan)
    return TrialFinished(trial, line, so_far, slots(), slots.nodes, recorder.stage_seconds)


def _tell_doubts(trial: Trial, inputs: Inputs, prepared: Prepared, tell: Callable[[str], None]) -> None:
    """Tells what base's answers say against rewards and probes, once base is scored."""
    if trial.split == "search" and trial.uniform_ratio == 0 and trial.state != "failed":
        for doubt in doubts(inputs.evaluations["trade"], inputs.objectives, prepared.get_base_answers("trade")):
            tell(f"warning: {doubt}")


def _out(run: str | Path | RunConfig | None, fields: dict[str, Any]) -> Path:
    """The folder of the run; where it is given in no good order, that is told with what else is wrong."""
    try:
        if run is None or "out" in fields:
            value, folder = fields["out"], None
        elif isinstance(run, RunConfig):
            return run.out
        else:
            value, folder = YamlFile.read(Path(run)).value["out"], Path(run).resolve().parent
        out: Path = TypeAdapter(File).validate_python(value, context={"folder": folder})
    except (OSError, KeyError, TypeError, ValueError, UserError):
        return Path.cwd()
    return out


def _config(run: str | Path | RunConfig | None, fields: dict[str, Any]) -> RunConfig:
    if run is None:
        return RunConfig.from_arguments(**fields)
    if isinstance(run, RunConfig):
        return RunConfig.from_arguments(**(run.model_dump() | fields))
    return RunConfig.load(run, **fields)
