"""`run_trials`: hands a run to Ray Tune, and returns when its last trial has ended."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import torch
from ray import tune
from ray.tune.stopper import CombinedStopper

from ama_ray.tuning.ray_internals import NewestFirstScheduler, NoProgress, no_state_of_tune
from ama_ray.tuning.searcher import RunSearcher
from ama_ray.tuning.stopping.failures import EndStopper
from ama_ray.tuning.stopping.futility import FutilityStopper
from ama_ray.tuning.trainable import SwapTrial, TrialContext, TrialContextReference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ray.tune import Callback

    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.tuning.budget import Spending
    from ama_ray.tuning.checking import CheckBeside
    from ama_ray.tuning.cluster.slots import Slots
    from ama_ray.tuning.recorder import Recorder
    from ama_ray.tuning.setup import Prepared
    from ama_ray.tuning.signals import Interrupts
    from ama_ray.tuning.suggester import StudySuggester


def run_trials(
    inputs: Inputs,
    prepared: Prepared,
    check: CheckBeside,
    suggester: StudySuggester,
    recorder: Recorder,
    *,
    slots: Slots,
    signals: Interrupts,
    spending: Spending,
    trackers: Sequence[Callback] = (),
    trainable: type[SwapTrial] = SwapTrial,
) -> str:
    """Runs the trials of a run, those of an earlier process excepted.

    Args:
        inputs: The opened run.
        prepared: Where engines are from, and what base answered.
        check: The deep check, which may still be under way.
        suggester: It chooses the ratios of the search.
        recorder: It gets every result.
        slots: Tells how many engines can run side by side.
        signals: They end the search in good order.
        spending: It knows what the budget allows.
        trackers: Who else hears of every trial.
        trainable: What runs a trial.

    Returns:
        Why the search ended before its last trial, as `RunSearcher.ended`.

    Raises:
        UserError: The deep check has not passed.
    """
    config = inputs.config
    torch.set_num_threads(1)  # the sampler's threads would take the engines' cores
    context = TrialContext(inputs.evaluations, recorder.run.objectives, prepared)
    # Commands have limits of their own; those on base's answers, of both splits, may be waited for.
    longest = max((each.timeout for each in config.commands), default=0.0)
    reference = TrialContextReference.of(context, config.engine.timeout + 3 * longest)
    resources = {kind.lower(): amount for kind, amount in slots.want.items()}
    searcher = RunSearcher(inputs.groups, suggester, recorder, slots, spending)
    with tempfile.TemporaryDirectory(prefix="ama_ray-tune-") as scratch, no_state_of_tune():
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(trainable, context=reference), resources),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=NewestFirstScheduler(),
                num_samples=-1,  # until the searcher is finished
                max_concurrent_trials=slots.most + slots.waiting,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                callbacks=[recorder, *trackers, NoProgress()],
                stop=CombinedStopper(EndStopper(recorder, check, signals), FutilityStopper(recorder)),
                verbose=0,
                failure_config=tune.FailureConfig(),  # the searcher tries again
                # With a checkpoint, though there is nothing in it, Tune keeps the items of every trial.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        signals.check()
        signals.deferred = True
        tuner.fit()
        signals.deferred = False
    if signals.received is None:
        check.wait()
    searcher.settle()
    return searcher.ended
