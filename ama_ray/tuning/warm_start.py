"""`first_points`: the uniform baseline, and the points a search starts from besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.run import StoredRun
from ama_ray.space.baseline import first_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ama_ray.config.search import WarmStart
    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.scores.trial import Origin
    from ama_ray.space.parametrization import Parametrization

AVERAGED = 0.5
"""The ratio of the one part that `parts` averages; the rest stays aligned."""
PARTS = 3
SHARE_OF_TRIALS = 4
"""An earlier run's front takes at most one in so many trials."""
DIGITS = 9
"""Points that agree to so many decimals in all ratios are the same point."""


@dataclass(frozen=True)
class FirstPoint:
    """Ratios to be scored, and where they are from."""

    origin: Origin
    ratios: dict[str, float]


def first_points(
    inputs: Inputs, parametrization: Parametrization, tell: Callable[[str], None] | None = None
) -> list[FirstPoint]:
    """What is scored before the sampler chooses: the uniform baseline, then the warm starts that the run asks for.

    - Base and aligned come first, then the uniform point between: whole, also where a range is narrower, and
      whatever `mean_ratio` is. Of several aligned models each comes alone, and then half of their equal average.
    - `uniform`: the other eight of the baseline, too, which are scored on the report split only otherwise; and the
      uniform point of `mean_ratio`.
    - `parts`: one part at a time at ratio 0.5, the rest aligned; the paper (arXiv 2309.06256) finds that averaging only
      the input part can raise reward and lower the tax at once. The parts are thirds of the groups by depth, larger
      ones last; the groups themselves where there are three at most.
    - `distill`: the points of `ama_ray.distill.distill`.
    - The folder of an earlier run: its front on the search split, thinned evenly to at most a quarter of `trials`. The
      points are scored again, as the items may be others.

    Warm starts outside the ranges, or off the slice of `mean_ratio`, are moved to the nearest point that the sampler
    could choose (`Parametrization.nearest`); one that then repeats an earlier point is dropped.

    Args:
        inputs: The opened run.
        parametrization: What the sampler may choose.
        tell: Called with a line of text as points are distilled.

    Raises:
        UserError: An earlier run cannot be read or has other groups, or there are more first points than trials.
    """
    config = inputs.config
    shares = first_shares(len(config.models), whole="uniform" in config.warm_start)
    baseline = [inputs.groups.everywhere(each) for each in shares]
    # What costs nothing is looked at before what takes long.
    found: dict[WarmStart, list[dict[str, float]]] = {
        entry: _cheap(entry, inputs, parametrization, baseline) for entry in config.warm_start if entry != "distill"
    }
    if "distill" in config.warm_start:
        from ama_ray.distill import distill

        _fit(len(baseline), len(_joined(found.values(), parametrization, baseline)), config.trials)
        found["distill"] = [point.ratios for point in distill(inputs, tell)]
    warm = _joined([found[entry] for entry in config.warm_start], parametrization, baseline)
    _fit(len(baseline), len(warm), config.trials)
    return [FirstPoint("baseline", ratios) for ratios in baseline] + [
        FirstPoint("warm start", ratios) for ratios in warm
    ]


def check_first_points(inputs: Inputs, parametrization: Parametrization) -> None:
    """Refuses what `first_points` would, without distilling.

    Raises:
        UserError: As `first_points`.
    """
    cheap = tuple(entry for entry in inputs.config.warm_start if entry != "distill")
    first_points(replace(inputs, config=inputs.config.model_copy(update={"warm_start": cheap})), parametrization)


def _joined(
    found: Iterable[list[dict[str, float]]], parametrization: Parametrization, baseline: Sequence[dict[str, float]]
) -> list[dict[str, float]]:
    return _new([parametrization.nearest(ratios) for points in found for ratios in points], baseline)


def _fit(baseline: int, warm: int, trials: int) -> None:
    if baseline + warm > trials:
        raise UserError(
            f"trials: {baseline} uniform points and {warm} warm starts are more than {trials} trials; "
            "raise `trials`, or name fewer in `warm_start`."
        )


def _cheap(
    entry: WarmStart, inputs: Inputs, parametrization: Parametrization, baseline: Sequence[dict[str, float]]
) -> list[dict[str, float]]:
    config, groups = inputs.config, inputs.groups.names
    if isinstance(entry, Path):
        front = [parametrization.nearest(ratios) for ratios in _front_of(entry, groups, config.report.share)]
        return _thinned(_new(front, baseline), max(2, config.trials // SHARE_OF_TRIALS))
    if entry == "uniform":
        return [] if config.mean_ratio is None else [dict.fromkeys(groups, config.mean_ratio)]
    return [{group: AVERAGED if group in part else 1.0 for group in groups} for part in _parts(groups)]


def _parts(groups: Sequence[str]) -> list[Sequence[str]]:
    count = min(PARTS, len(groups))
    ends = [len(groups) * part // count for part in range(count + 1)]
    return [groups[start:end] for start, end in pairwise(ends)]


def _front_of(folder: Path, groups: Sequence[str], share: float) -> list[dict[str, float]]:
    """The ratios on the front of an earlier run, by rising tax."""
    try:
        earlier = StoredRun.open(folder)
    except UserError as error:
        raise UserError(f"warm_start: {error}") from None
    front = earlier.searched_pareto.front
    if not front:
        raise UserError(f"warm_start: {folder} has no front to start from; name another run.")
    if earlier.config.report.share < share:
        raise UserError(
            f"warm_start: {folder} searched on items that are for the report here, as its report.share is "
            f"{earlier.config.report.share:g} and this run's is {share:g}; make them equal."
        )
    for trial in front:
        ours, theirs = set(groups), set(trial.ratios)
        if ours != theirs:
            differences = [f"{name} is a group of {folder} only" for name in trial.ratios if name not in ours]
            differences += [f"{name} is a group of this run only" for name in groups if name not in theirs]
            more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
            raise UserError(f"warm_start: {differences[0]}{more}; name a run with the same search space.")
    return [{group: trial.ratios[group] for group in groups} for trial in front]


def _new(points: Iterable[dict[str, float]], known: Iterable[dict[str, float]]) -> list[dict[str, float]]:
    """The points that repeat neither a known one nor each other."""
    seen = {_rounded(ratios) for ratios in known}
    kept = []
    for ratios in points:
        if (key := _rounded(ratios)) not in seen:
            seen.add(key)
            kept.append(ratios)
    return kept


def _rounded(ratios: dict[str, float]) -> tuple[float, ...]:
    return tuple(round(ratio, DIGITS) for ratio in ratios.values())


def _thinned(points: list[dict[str, float]], most: int) -> list[dict[str, float]]:
    """At most so many (at least 2), evenly spaced in their order, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
