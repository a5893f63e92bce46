"""How many tokens does a run take for a front that is truly as good, by how it spends its items?

    python -m benchmarks.front.tokens --seeds 10

Whole runs of `benchmarks.front.modelled`: the tool's sampler, and how it spends its items, against trials that all see
all of them. Search split and report split are drawn with replacement from the items of the landscape, whose mean is the
truth, so many as the problem says for each. Tokens are counted as a run's budget counts them, with what an item of the
miniature takes. A run recommends the front of its report, which is judged by its true hypervolume, as a multiple of
that of all uniform points. Every finished run is a file in the folder of results; `--tables` prints what is there.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.analysis.candidates import candidates
from ama_ray.analysis.trade_test import TradeTest
from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS, Report, RunConfig
from ama_ray.data import splits
from ama_ray.evaluation.inputs import Inputs
from ama_ray.evaluation.work import tokens_of_items
from ama_ray.miniature import ROOT
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.scores.trial import Trial
from ama_ray.tuning.budget import TWINS
from ama_ray.tuning.stopping.estimates import ScoreEstimator
from ama_ray.tuning.stopping.futility import FutilityStopper
from ama_ray.tuning.trial_records import TrialResult, TrialSpec
from benchmarks.front.contestants import CONTESTANTS
from benchmarks.front.modelled import Modelled
from benchmarks.front.search import read, result_file, run_all, write
from testing.recommendation import reported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from ama_ray.scores.objectives import Items
    from ama_ray.scores.trial import Origin, Scores

BUDGETS = (20, 30)
"""Trials after which a run is ended and reported."""


@dataclass(frozen=True)
class Policy:
    """How a run spends its items.

    Attributes:
        searched: How many of so many items trials of the search see; base and aligned see all.
        parts: Shares of these after which a hopeless trial may be stopped.
        points: Of the report, besides the uniform ones.
    """

    searched: Callable[[int], int]
    parts: tuple[float, ...]
    points: int


POLICIES = {
    "all items": Policy(int, (1.0,), 20),
    "ama_ray": Policy(splits.searched, splits.PARTS, Report().points),
}


class Drawn(Modelled):
    """A landscape of which any items can be asked, and any number of them.

    Attributes:
        count: Items of each source on each split.
    """

    def __init__(self, problem: str, seed: int, folder: Path) -> None:
        """See `Modelled`, whose own splits are not used here."""
        aligned, space, items, *dials = problem.split(":")
        super().__init__(":".join((aligned, space, "1", *dials)), seed, folder)
        self.count = int(items)

    def drawn(self, ratios: Mapping[str, float], at: NDArray[np.float64], seed: int, replies: int) -> Items:
        """The items of some ratios; the same every time.

        Args:
            ratios: By group.
            at: Where they are among all, from 0 to 1, by source and number; one that comes again is a prompt with other
                replies.
            seed: Of the noise of replies.
            replies: How many times as many to a prompt as the search has.
        """
        right, means, spread = self._whole([ratios])
        draw = np.random.default_rng([seed, *(round(ratio * 1e6) for ratio in ratios.values())])
        prompts = (at[0] * means.shape[1]).astype(int)
        rewards = means[0, prompts] + spread[0] / replies**0.5 * draw.standard_normal(len(prompts))
        items = {
            term.name: right[0, number, (at[1 + number] * right.shape[2]).astype(int), None]
            for number, term in enumerate(self.objectives.probes)
        }
        return {"reward": rewards[:, None]} | items


class Split:
    """Items and prompts drawn with replacement.

    Attributes:
        count: How many of each source.
    """

    def __init__(self, landscape: Drawn, seed: tuple[int, int], replies: int = 1) -> None:
        draw = np.random.default_rng(seed)
        self.count = landscape.count
        self._landscape, self._replies = landscape, replies
        self._at = draw.random((1 + len(landscape.objectives.probes), self.count))
        self._noise = int(draw.integers(2**31))
        self.base = self.items(dict.fromkeys(landscape.groups, 0.0))

    def items(self, ratios: Mapping[str, float]) -> Items:
        """What a trial scores, item by item."""
        return self._landscape.drawn(ratios, self._at, self._noise, self._replies)

    def scores(self, items: Items) -> Scores:
        """The scores of the first items."""
        return self._landscape.objectives.scores(items, first(items, self.base))

    def trade(self) -> TradeTest:
        """The test of base against aligned on all items."""
        aligned = self.items(dict.fromkeys(self._landscape.groups, 1.0))
        return TradeTest.of(self._landscape.objectives, self.base, aligned)


def first(items: Items, whole: Items) -> Items:
    """As many of the first items of a whole as there are others."""
    return {name: whole[name][: len(array)] for name, array in items.items()}


class Simulated:
    """A run without an engine, one trial after another.

    Attributes:
        trials: That have ended.
        run: What a recorder would have of the run.
    """

    def __init__(self, problem: str, policy: Policy, seed: int, trials: int, folder: Path) -> None:
        self.landscape = Drawn(problem, seed, folder)
        self._policy = policy
        self._search = Split(self.landscape, (seed, 1))
        self._report = Split(self.landscape, (seed, 2), Report().samples)
        self._won = self._search.trade().intervals
        self._contestant = CONTESTANTS["ama_ray"](self.landscape, seed)
        self._items: dict[int, Items] = {}
        self._estimator = ScoreEstimator(self.landscape.objectives, self)  # type: ignore[arg-type]
        self.trials: list[Trial] = []
        self.run = SimpleNamespace(config=SimpleNamespace(trials=trials), searched_pareto=self._pareto())
        self._stopper = FutilityStopper(self)  # type: ignore[arg-type]

    def read(self, split: str, number: int) -> Items:
        """The items of a trial, as `ItemStore` reads them."""
        return self._items[number]

    def estimate(self, result: TrialResult) -> Scores:
        """What a trial will score, as a recorder estimates it."""
        return self._estimator.estimate(result.items, result.spec.ratios, self.run.searched_pareto.scored)

    def step(self) -> None:
        """One more trial of the search."""
        number, ratios = len(self.trials), self._contestant.ask()
        count = self._policy.searched(self._search.count)
        items = {name: array[:count] for name, array in self._search.items(ratios).items()}
        origin: Origin = "baseline" if number < len(FIRST_RATIOS) else "sampler"
        trial = Trial(number, "complete", origin, ratios)
        for share in self._policy.parts if origin == "sampler" else (1.0,):
            seen = {name: array[: round(share * count)] for name, array in items.items()}
            result = TrialResult(TrialSpec(number, origin, ratios), "", 0.0, {}, share=share, items=seen)
            if share < 1 and self._stopper(str(number), result.to_tune()):
                trial, scores = replace(trial, state="stopped"), self.estimate(result)
                break
        else:
            scores = self._search.scores(seen)
            self._items[number] = seen
        # Of all items of the search split.
        paid = 1.0 if trial.is_end else share * count / self._search.count
        self.trials.append(replace(trial, search=scores, share=paid))
        self.run.searched_pareto = self._pareto()
        self._contestant.tell(ratios, scores)

    def recommended(self) -> tuple[list[dict[str, float]], int]:
        """The front of the report, if the search ended now, and how many points the report scored."""
        chosen = candidates(self.run.searched_pareto, self.landscape.objectives, self._items, self._policy.points)
        uniform = [dict.fromkeys(self.landscape.groups, ratio) for ratio in BASELINE_RATIOS]
        scored = [("baseline", each) for each in uniform] + [("sampler", trial.ratios) for trial in chosen]
        trials = [Trial(number, "complete", origin, ratios) for number, (origin, ratios) in enumerate(scored)]  # type: ignore[arg-type]
        items = {trial.number: self._report.items(trial.ratios) for trial in trials}
        front = reported(self.landscape.objectives, trials, items).front
        return [trial.ratios for trial in front], len(scored) + TWINS

    def judged(self) -> dict[str, float]:
        """What the run has cost and what it recommends is worth, if the search ended now."""
        front, points = self.recommended()
        search, report = self._costs
        paid = search + report + math.fsum(trial.share for trial in self.trials) * search + points * report
        worth = self.landscape.volume(self.landscape.truth(front)) / self.landscape.volume(self.landscape.line)
        return {"trials": len(self.trials), "tokens": paid, "search": paid - points * report, "front": worth}

    @cached_property
    def _costs(self) -> tuple[float, float]:
        """Tokens of a trial on all items of the search split and of the report split."""
        evaluations = Inputs.open(RunConfig.load(ROOT / "run.yaml")).evaluations
        one, other = (math.fsum(tokens_of_items(evaluations[split]).values()) for split in ("search", "report"))
        return self._search.count * one, self._report.count * other

    def _pareto(self) -> ParetoSet:
        return ParetoSet(self.trials, won=self._won)


def run(problem: str, name: str, seed: int, trials: int, folder: Path) -> None:
    """One run, to the file of its results; nothing where that is there."""
    file = result_file(folder / "tokens", problem, name, seed)
    if len(read(file)) == sum(budget <= trials for budget in BUDGETS):
        return
    torch.set_num_threads(1)
    simulated = Simulated(problem, POLICIES[name], seed, trials, folder)
    rows: list[dict[str, Any]] = []
    for number in range(1, trials + 1):
        simulated.step()
        if number in BUDGETS:
            rows.append(simulated.judged())
    write(file, rows)


def table(problem: str, names: list[str], seeds: int, folder: Path) -> list[dict[str, Any]]:
    """Prints what runs cost and what they recommend, against those that let every trial see all items."""
    shown = Table(title=f"{problem}, {seeds} seeds")
    for column in ("items", "trials", "tokens", "fewer", "of the search", "front: mean", "worst", "more than", "error"):
        shown.add_column(column, justify="left" if column == "items" else "right")
    found = {
        name: [read(result_file(folder / "tokens", problem, name, seed)) for seed in range(seeds)] for name in names
    }
    rows = []
    for name, runs in found.items():
        for i in range(len(BUDGETS)):
            ours, theirs = ([each[at] for each in kind] for kind, at in ((runs, i), (found[names[0]], -1)))
            tokens, search, fronts = (np.array([each[key] for each in ours]) for key in ("tokens", "search", "front"))
            whole, best = (np.array([each[key] for each in theirs]) for key in ("tokens", "front"))
            more, fewer = fronts - best, 1 - tokens.mean() / whole.mean()
            error = more.std(ddof=1) / len(more) ** 0.5
            cells = (f"{tokens.mean():,.0f}", f"{fewer:.0%}", f"{search.mean() / tokens.mean():.0%}")
            worth = (f"{fronts.mean():.4f}", f"{fronts.min():.3f}", f"{more.mean():+.4f}", f"{error:.4f}")
            shown.add_row(name, str(BUDGETS[i]), *cells, *worth)
            rows.append(
                {"problem": problem, "items": name, "trials": BUDGETS[i], "tokens": tokens.mean(), "fewer": fewer}
                | {"front": fronts.mean(), "worst": fronts.min(), "more": more.mean(), "error": error}
            )
    Console(width=120).print(shown)
    return rows


def main(
    problem: Annotated[list[str], typer.Option(help="As of benchmarks.front.modelled; any items.")] = [  # noqa: B006
        "rsf:profile:400:0.2:3",
        "rsf:per-layer:400:1.0",
    ],
    items: Annotated[list[str], typer.Option(help="How runs spend their items.")] = list(POLICIES),  # noqa: B006
    seeds: int = 10,
    folder: Path = Path("runs/benchmark-search"),
    processes: int = 2,
    tables: Annotated[bool, typer.Option("--tables", help="Only print what is there.")] = False,
) -> None:
    """Runs what has not been run yet, then prints a table by problem and a JSON object."""
    if not tables:
        run_all(run, problem, items, seeds, max(BUDGETS), folder, processes)
    print(json.dumps([row for each in problem for row in table(each, items, seeds, folder)]))


if __name__ == "__main__":
    typer.run(main)
