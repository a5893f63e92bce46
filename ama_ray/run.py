"""`StoredRun`: a run as its folder holds it, finished or not, and the fronts that are made of its trials."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.analysis.claims import Claims
from ama_ray.analysis.convergence import hypervolume_trace
from ama_ray.analysis.domination import undecided
from ama_ray.analysis.importance import importance
from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.pareto.trade import ends_of
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.interval import Interval
from ama_ray.space.baseline import first_shares
from ama_ray.storage.identity import known_identity
from ama_ray.storage.item_store import ItemStore
from ama_ray.storage.item_texts import ItemTexts
from ama_ray.storage.names import ITEMS, REPLIES, RUN, TEXTS, TRIALS
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import ReplyStore, read_trials
from ama_ray.storage.run_folder import has_ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from ama_ray.analysis.convergence import Step
    from ama_ray.analysis.importance import Importance
    from ama_ray.analysis.trade_test import TradeTest
    from ama_ray.config import Split
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Trial


class StoredRun:
    """A run: its configuration, its trials and their items, and its fronts on both splits.

    Attributes:
        folder: The folder of the run.
        config: The run file, resolved.
        objectives: What the objectives are made of.
        trials: Every trial as it was recorded, failed and stopped ones included.
        test_data: The rewards and probes whose search items are from a benchmark's test split.
        tokens: How many tokens an item takes at most, by name of the reward or probe; empty where that is not known.
        ended: Whether it has ended in good order with these trials; its budget may have ended it.
        items: What every trial scored, item by item.
        replies: Some replies of every trial that the report scored.
        texts: What the items of the report ask, and what those trials answered.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        objectives: Objectives,
        trials: Sequence[Trial],
        test_data: tuple[str, ...] = (),
        *,
        tokens: Mapping[str, float] | None = None,
        ended: bool = False,
    ) -> None:
        """Puts a run together; `open` reads one."""
        self.folder = folder
        self.config = config
        self.objectives = objectives
        self.trials = tuple(trials)
        self.test_data = test_data
        self.tokens = dict(tokens or {})
        self.ended = ended
        self._trade_tests: dict[tuple[Split, tuple[int, ...]], TradeTest] = {}
        self.items = ItemStore(folder / ITEMS, objectives.sources)
        self.replies = ReplyStore(folder / REPLIES)
        self.texts = ItemTexts(folder / TEXTS)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Reads the folder of a run, finished or not. Nothing that it names is opened, and no code of it is run.

        Raises:
            UserError: This is no folder of a run, or one of its files is missing or damaged.
        """
        folder = Path(folder)
        if not (folder / RUN).is_file():
            raise UserError(f"{folder}: not the folder of a run, as it has no {RUN}; name the folder a run wrote to.")
        known_identity(folder)  # first of all, as the files of another version may say something else
        config = RunConfig.load(folder / RUN, out=folder)
        stored = ObjectivesFile.read(folder)
        run = cls(
            folder, config, stored.objectives, read_trials(folder / TRIALS), stored.test_data, tokens=stored.tokens
        )
        run.ended = has_ended(folder, len(run.searched))
        return run

    @cached_property
    def constraints(self) -> Constraints:
        """What trials of a front satisfy.

        Raises:
            UserError: The run file bounds a family that there is not.
        """
        return Constraints.parse(self.config.constraints, self.objectives)

    def with_trials(self, trials: Sequence[Trial], *, ended: bool = False) -> Self:
        """The same run with other trials, as it goes on, or with the same ones once it has ended."""
        run = type(self)(
            self.folder, self.config, self.objectives, trials, self.test_data, tokens=self.tokens, ended=ended
        )
        run.items = self.items
        run._trade_tests = self._trade_tests  # items once written stay, and a test of BLEU takes its time
        return run

    def pareto_of(self, trials: Sequence[Trial], split: Split) -> ParetoSet:
        """The front of some trials, by the run's constraints and from its reference point on.

        On the report split, uniform points stay on it that none beats beyond doubt, where the run has its items.
        """
        pareto = ParetoSet(trials, self.constraints, self.config.reference, split, self._won(split))
        items = self.items.read_if_whole(split, *(t.number for t in pareto.scored)) if split == "report" else None
        return pareto.with_undecided(undecided(pareto, self.objectives, items)) if items else pareto

    def _won(self, split: Split) -> dict[str, Interval]:
        """What aligned won and lost, paired item by item; empty where the items of the two are not there."""
        test = self.trade_test(split)
        return test.intervals if test else {}

    @cached_property
    def searched_pareto(self) -> ParetoSet:
        """The front as the search saw it: on the search split."""
        return self.pareto_of(self.trials, "search")

    @cached_property
    def pareto(self) -> ParetoSet:
        """The front on the report split, once what the run asks for was scored there; before, on the search split."""
        return self.pareto_of(self.trials, "report") if self.is_reported else self.searched_pareto

    @property
    def is_reported(self) -> bool:
        """Whether base, aligned and the search's front were scored again, or as many points as were to be.

        Once a run has ended, those that were are as many.
        """
        complete = [trial for trial in self.trials if trial.state == "complete"]
        if len(ends_of([t.seen_on("report") for t in complete if t.origin == "baseline" and t.report])) < 2:
            return False
        chosen = [trial for trial in self.searched_pareto.front if trial.origin != "baseline"]
        again = [t for t in complete if t.origin not in ("baseline", "twin") and (t.report or t.reason)]
        most = 1 if self.ended else self.config.report.points
        return all(trial.report or trial.reason for trial in chosen) or len(again) >= most

    @property
    def searched(self) -> tuple[Trial, ...]:
        """The trials of the search: without the twin, and the uniform points scored on the report split only."""
        return tuple(t for t in self.trials if t.search or (t.state == "failed" and self._was_searched(t)))

    def _was_searched(self, trial: Trial) -> bool:
        if trial.origin == "baseline":
            found, models = trial.shares or {}, self.config.models
            shares = tuple(found.get(model, 0.0) for model in models) if len(models) > 1 else (trial.uniform_ratio,)
            return shares in first_shares(len(models), whole="uniform" in self.config.warm_start)
        return trial.origin != "twin"

    def trade_test(self, split: Split = "search") -> TradeTest | None:
        """Whether base and aligned differ beyond error; None where one of them has no items of this split."""
        from ama_ray.analysis.trade_test import TradeTest  # scipy takes its time

        baselines = [t.seen_on(split) for t in self.trials if t.origin == "baseline" and t.state == "complete"]
        found = ends_of([trial for trial in baselines if trial.scores])
        ends = tuple(found[name].number for name in ("base", "aligned") if name in found)
        if len(ends) < 2:
            return None
        if (split, ends) not in self._trade_tests:
            # Where trials of the search see a part of the items, base and aligned have seen all.
            whole = "trade" if split == "search" and self.items.has("trade") else split
            items = self.items.read_if_whole(whole, *ends)
            if items is None:
                return None
            self._trade_tests[split, ends] = TradeTest.of(self.objectives, items[ends[0]], items[ends[1]])
        return self._trade_tests[split, ends]

    @cached_property
    def stopping_test(self) -> TradeTest | None:
        """The test that ends the search after base and aligned; None where it goes on, or one of them is missing."""
        if self.config.unclear_trade == "go-on" or self.is_reported:
            return None
        test = self.trade_test()
        return None if test is None or test.clear else test

    @cached_property
    def claims(self) -> Claims:
        """What is said of the front, with errors; nothing is known where the run folder lacks items."""
        searched = self._search_front if self.pareto.split == "report" else ()
        return self._claims_of(self.pareto, [trial.number for trial in searched])

    @cached_property
    def searched_claims(self) -> Claims:
        """What the search said of its front, with errors; like `claims`."""
        return self.claims if self.pareto.split == "search" else self._claims_of(self.searched_pareto)

    def _claims_of(self, pareto: ParetoSet, searched: Sequence[int] = ()) -> Claims:
        numbers = [trial.number for trial in pareto.scored]
        items = self.items.read_if_whole(pareto.split, *numbers)
        if items is None:
            return Claims()
        return Claims.of(pareto, self.objectives, items, searched, seed=self.config.seed)

    @property
    def _search_front(self) -> list[Trial]:
        """The points of the search's front that were scored again."""
        return [trial for trial in self.searched_pareto.front if trial.report]

    @cached_property
    def optimism(self) -> Interval:
        """How much the search had fooled itself: search minus report, in hypervolume, with its 95% interval.

        The hypervolume of the search's front from the numbers of the search split, minus the hypervolume of the same
        points from the numbers of the report split, each normalised by base and aligned of its split. Points of the
        search's front that were not scored again count in neither; those that do not satisfy the constraints by the
        report win nothing there. What the search said is known; the error is that of the report. NaN before the report,
        and without a trade.
        """
        if self.pareto.split == "search":
            return Interval(math.nan, math.nan, math.nan)
        said = self.searched_pareto.hypervolume_of(self._search_front)
        again = self.claims.again
        value = said - self.pareto.hypervolume_of([trial.seen_on("report") for trial in self._search_front])
        return Interval(value, said - again.high, said - again.low)

    def convergence(self) -> list[Step]:
        """Where the search stood after each of its trials; what holds on other items, where the run has its items."""
        items = self.items.read_if_whole("search", *(trial.number for trial in self.searched_pareto.scored))
        if items is None:
            return hypervolume_trace(self.searched_pareto, self.searched)
        return hypervolume_trace(self.searched_pareto, self.searched, self.objectives, items)

    def importance(self) -> list[Importance]:
        """Which groups matter for which objective, by what the search saw."""
        if self.trials and self.trials[0].models > 1:
            return []  # from 0 to 1 with the others as they are, a share would leave the simplex
        return importance([trial for trial in self.searched_pareto.scored if trial.origin != "twin"])
