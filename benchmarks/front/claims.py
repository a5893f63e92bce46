"""Do the intervals of a run's claims hold the truth? Subsets of items against all of them, for the same forty points.

    python -m benchmarks.front.claims

The points are the eleven uniform ones of the miniature and those that Optuna's sampler of Gaussian processes chose;
their items are computed once and kept. The truth is the mean over all items of both splits. A repetition draws items
with replacement for a search split and for a report split, says what `ama_ray` says on each, and compares: with what
the points that were chosen truly win, and with what the knee and the uniform point beside it truly have. On the search
split all points are there; on the report split the points of the search's front and the uniform ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.analysis.claims import Claims
from ama_ray.analysis.domination import undecided
from ama_ray.analysis.trade_test import TradeTest
from ama_ray.config import FIRST_RATIOS
from ama_ray.pareto.named_points import best_uniform, knee
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.trial import Trial
from benchmarks.front.contestants import CONTESTANTS
from testing.landscape import Landscape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.scores.interval import Interval
    from ama_ray.scores.objectives import Objectives

    Model = dict[str, NDArray[np.float64]]

POINTS = 40
UNIFORM = 11


def main(
    items: Annotated[list[int], typer.Option(help="Items of every probe, and prompts.")] = [25, 50, 100, 400],  # noqa: B006
    repetitions: int = 200,
    resamples: int = 500,
    aligned: str = "rsf",
    weaker: Annotated[int, typer.Option(help="Take uniform 0.1 times so much for aligned.")] = 10,
    folder: Path = Path("runs/benchmark-claims"),
) -> None:
    """Prints a table and a JSON object: the share of intervals that hold the truth, and where the others lie."""
    torch.set_num_threads(1)
    landscape = Landscape(aligned, "per-layer", folder / "cache")
    ratios, models = _points(landscape, folder / f"{aligned}.json")
    # A weaker aligned model is a uniform point: the uniform points up to it, and all others, are between.
    kept = [i for i in range(POINTS) if i <= weaker or i >= UNIFORM]
    models = [models[i] for i in kept]
    tried = [dict.fromkeys(ratios[i], i / weaker) if i < UNIFORM else ratios[i] for i in kept]
    table = Table(title=f"95% intervals, {repetitions} repetitions, base to {aligned} at {weaker / 10:g}")
    for column in ("items", "split", "claim", "held", "truth below", "truth above", "median width", "no trade"):
        table.add_column(column, justify="right")
    rows = []
    for count in items:
        found, without = _repeat(landscape.objectives, tried, models, count, repetitions, resamples)
        for (split, claim), pairs in found.items():
            ends = np.array([(interval.low, truth, interval.high) for interval, truth in pairs])
            below, above = (ends[:, 1] < ends[:, 0]).mean(), (ends[:, 1] > ends[:, 2]).mean()
            width = float(np.median(ends[:, 2] - ends[:, 0]))
            shares = (1 - below - above, below, above)
            cells = [f"{share:.1%}" for share in shares]
            table.add_row(str(count), split, claim, *cells, f"{width:.3f}", str(without[split]))
            rows.append({"items": count, "split": split, "claim": claim, "held": shares[0], "width": width})
    Console(width=120).print(table)
    print(json.dumps(rows))


def _points(landscape: Landscape, file: Path) -> tuple[list[dict[str, float]], list[Model]]:
    """The ratios of the points and the items of both splits together."""
    if file.exists():
        ratios = json.loads(file.read_text(encoding="utf-8"))
    else:
        contestant = CONTESTANTS["Optuna GP"](landscape, 0)
        ratios = [dict.fromkeys(landscape.groups, i / (UNIFORM - 1)) for i in range(UNIFORM)]
        for each in ratios[:: UNIFORM // 2]:
            assert next(iter(each.values())) in FIRST_RATIOS
        while len(ratios) < POINTS:
            asked = contestant.ask()
            contestant.tell(asked, landscape.scores(asked, "search"))
            ratios.append(asked)
        file.write_text(json.dumps(ratios), encoding="utf-8")
    return ratios, [_both(landscape, each) for each in ratios]


def _both(landscape: Landscape, ratios: Mapping[str, float]) -> Model:
    search, report = (landscape.items(ratios, split) for split in ("search", "report"))
    return {name: np.concatenate([search[name], report[name]]) for name in search}


def _repeat(
    objectives: Objectives,
    ratios: Sequence[dict[str, float]],
    models: Sequence[Model],
    count: int,
    repetitions: int,
    resamples: int,
) -> tuple[dict[tuple[str, str], list[tuple[Interval, float]]], dict[str, int]]:
    truth = ParetoSet(_trials(objectives, ratios, models, range(len(models))))
    found: dict[tuple[str, str], list[tuple[Interval, float]]] = {}
    without = {"search": 0, "report": 0}
    draw = np.random.default_rng(count)
    for seed in range(repetitions):
        searched: list[int] = []
        for split in ("search", "report"):
            chosen = {name: draw.integers(0, len(array), count) for name, array in models[0].items()}
            drawn = [{name: array[chosen[name]] for name, array in model.items()} for model in models]
            there = sorted({*searched, *(i for i, r in enumerate(ratios) if len(set(r.values())) == 1)})
            if split == "search":
                there = list(range(len(models)))
            pareto = _set(objectives, ratios, drawn, there)
            if pareto.no_trade:
                without[split] += 1
                break
            items = dict(enumerate(drawn))
            if split == "report":
                pareto = pareto.with_undecided(undecided(pareto, objectives, items))
            claims = Claims.of(pareto, objectives, items, searched, resamples=resamples, seed=seed)
            for claim, interval, true in _compared(claims, pareto, truth):
                found.setdefault((split, claim), []).append((interval, true))
            if searched:
                again = truth.hypervolume_of([truth.scored[i] for i in searched])
                found.setdefault((split, "hypervolume, search's front"), []).append((claims.again, again))
            searched = [trial.number for trial in pareto.front]
    return found, without


def _trials(
    objectives: Objectives, ratios: Sequence[dict[str, float]], models: Sequence[Model], there: Sequence[int]
) -> list[Trial]:
    base = models[0]

    def trial(i: int) -> Trial:
        origin = "baseline" if len(set(ratios[i].values())) == 1 else "sampler"
        return Trial(i, "complete", origin, ratios[i], objectives.scores(models[i], base))  # type: ignore[arg-type]

    return [trial(i) for i in there]


def _set(
    objectives: Objectives, ratios: Sequence[dict[str, float]], drawn: Sequence[Model], there: Sequence[int]
) -> ParetoSet:
    aligned = next(i for i, each in enumerate(ratios) if set(each.values()) == {1.0})
    won = TradeTest.of(objectives, drawn[0], drawn[aligned]).intervals
    return ParetoSet(_trials(objectives, ratios, drawn, there), won=won)


def _compared(claims: Claims, pareto: ParetoSet, truth: ParetoSet) -> Iterator[tuple[str, Interval, float]]:
    """Every claim, its interval, and what is true of the points that were chosen."""

    def true(trials: Sequence[Trial]) -> list[Trial]:
        return [truth.scored[trial.number] for trial in trials]

    front, uniform = (truth.hypervolume_of(true(each)) for each in (pareto.front, pareto.uniform_front))
    yield "hypervolume", claims.hypervolume, front
    yield "hypervolume, uniform", claims.uniform, uniform
    yield "difference", claims.difference, front - uniform
    top = knee(pareto)
    assert top
    (at,) = true([top])
    for name, interval in claims.knee.items():
        yield f"{name} at the knee", interval, truth.trade.share(at, name)
    best = best_uniform(pareto, top)
    if best and best.number != top.number:
        (beside,) = true([best])
        yield "gain over uniform", claims.gain, truth.trade.gain(at) - truth.trade.gain(beside)


if __name__ == "__main__":
    typer.run(main)
