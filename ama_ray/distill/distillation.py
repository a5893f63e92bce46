"""`distill()`: from a run to one point for every mean ratio."""

from __future__ import annotations

import gc
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch

from ama_ray.checkpoints.parts import is_tied, is_wrapper
from ama_ray.distill.batches import Batch
from ama_ray.distill.layout import layout_of, load_model
from ama_ray.distill.mean_ratios import MeanRatios
from ama_ray.distill.merged_model import MergedModel
from ama_ray.distill.responses import responses_of
from ama_ray.engine.classifier.process import end_processes
from ama_ray.errors import UserError
from ama_ray.processes.worker import end_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.config.distill import Distill
    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.space.groups import Groups

WARM_UP = 0.03
"""Share of the steps in which the learning rate rises to its highest, before it falls as a cosine; as in the paper."""


@dataclass(frozen=True)
class Distilled:
    """What proxy distillation makes of one mean ratio.

    Attributes:
        mean_ratio: Plain mean of the ratios, as asked for.
        ratios: By group.
        loss: Mean of -log p over the tokens of the responses, in nats, at these ratios.
        start_loss: The same at the start: the uniform point, or the one nearest to it within the ranges.
    """

    mean_ratio: float
    ratios: dict[str, float]
    loss: float
    start_loss: float


def distill(inputs: Inputs, progress: Callable[[str], None] | None = None) -> list[Distilled]:
    """Proxy distillation (arXiv 2309.06256, section 5): the ratios of each mean under which good responses are likely.

    The gradient by the ratios is exact for the loss of the merged model in the engine's precision. The tax is not
    looked at, and neither is the report split. The same run gives the same points on the same machine.

    Args:
        inputs: The run; `config.distill` has the settings.
        progress: Called with a line of text as the work proceeds.

    Raises:
        UserError: A mean is out of reach, responses cannot be had, or transformers cannot load the pair.
    """
    try:
        return _points(inputs, progress or (lambda line: None))
    finally:
        # What comes next, an engine, needs the memory of the model and of the reward models that scored responses.
        end_processes()
        end_workers()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _points(inputs: Inputs, tell: Callable[[str], None]) -> list[Distilled]:
    settings = inputs.config.distill
    base, aligned = inputs.pair.base, inputs.pair.aligned
    if inputs.pair.further:
        raise UserError("aligned: distillation is for one aligned model; name one in `aligned`.")
    if inputs.pair.delta:
        raise UserError("delta: distillation is for aligned as it is stored; leave delta out.")
    if base.fits or any(each(base.config) != each(aligned.config) for each in (is_tied, is_wrapper)):
        raise UserError(
            f"{base.folder}: distillation needs two checkpoints with the same tokens and the same parts, both with "
            "tied heads, or both without; save base in the form of aligned."
        )
    if aligned.adapter:
        raise UserError(
            f"{aligned.folder}: distillation needs whole checkpoints; merge the adapter with peft's "
            "merge_and_unload and name that folder."
        )
    parametrisations = [_parametrisation(mean, inputs.groups, settings.epsilon) for mean in settings.means]
    model = load_model(aligned.folder, getattr(torch, inputs.config.engine.dtype))
    responses = responses_of(inputs, model)
    size = settings.batch
    batches = [Batch.of(responses[i : i + size]) for i in range(0, len(responses), size)]
    tell(f"{len(responses)} responses, {len(batches)} steps for each of {len(settings.means)} means")
    points = []
    with (
        layout_of(inputs.pair, inputs.groups, model) as layout,
        closing(MergedModel(model, layout, inputs.groups.names)) as merged,
    ):
        for each in parametrisations:
            points.append(_fitted(merged, each, batches, settings, inputs.groups.names))
            point = points[-1]
            tell(f"mean ratio {point.mean_ratio:g}: loss {point.start_loss:.4f} to {point.loss:.4f} nats per token")
    return points


def _parametrisation(mean: float, groups: Groups, epsilon: float) -> MeanRatios:
    low, high = torch.tensor([groups.ranges[name] for name in groups.names], dtype=torch.float64).unbind(1)
    if not low.mean() < mean < high.mean():
        raise UserError(
            f"distill.means: with the ranges of the search space, a mean ratio lies between {low.mean():g} and "
            f"{high.mean():g}, so {mean:g} cannot be; leave it out."
        )
    return MeanRatios(mean, low, high, epsilon)


def _fitted(
    merged: MergedModel, parametrization: MeanRatios, batches: Sequence[Batch], settings: Distill, names: Sequence[str]
) -> Distilled:
    from transformers import get_cosine_schedule_with_warmup

    scores = torch.zeros(len(names), dtype=torch.float64)
    optimizer = torch.optim.AdamW([scores], settings.learning_rate, weight_decay=0.0)
    warm_up = ceil(WARM_UP * len(batches))
    schedule = get_cosine_schedule_with_warmup(optimizer, warm_up, len(batches))
    start_loss = _loss(merged, parametrization.ratios(scores), batches)
    for batch in batches:
        ratios = parametrization.ratios(scores)
        merged.merge(ratios)
        pull = settings.pull * torch.sign(ratios - parametrization.mean) / len(names)
        scores.grad = parametrization.gradient(scores, merged.gradient(batch) + pull)
        optimizer.step()
        schedule.step()
    ratios = parametrization.ratios(scores)
    loss = _loss(merged, ratios, batches)
    return Distilled(parametrization.mean, dict(zip(names, ratios.tolist(), strict=True)), loss, start_loss)


def _loss(merged: MergedModel, ratios: torch.Tensor, batches: Sequence[Batch]) -> float:
    merged.merge(ratios)
    sums = [merged.loss(batch) for batch in batches]
    return sum(loss for loss, _ in sums) / sum(tokens for _, tokens in sums)
