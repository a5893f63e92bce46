"""A run whose engines are made up: a searcher is asked as Tune does, and a recorder is told results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune.search import Searcher

from ama_ray.config import RunConfig
from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.space.baseline import first_shares
from ama_ray.space.groups import Groups
from ama_ray.space.parametrization import Box
from ama_ray.storage.records import read_trials
from ama_ray.storage.run_folder import RunFolder
from ama_ray.tuning import samplers
from ama_ray.tuning.budget import Costs, Spending
from ama_ray.tuning.recorder import Recorder
from ama_ray.tuning.samplers import SamplerContext
from ama_ray.tuning.searcher import RunSearcher
from ama_ray.tuning.study import open_study
from ama_ray.tuning.suggester import StudySuggester
from ama_ray.tuning.trial_records import TrialResult, TrialSpec
from ama_ray.tuning.warm_start import FirstPoint
from tests.support.tune_trial import TuneTrial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ama_ray.scores.objectives import Items
    from ama_ray.space.parametrization import Parametrization

OBJECTIVES = Objectives((RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("facts", "f", "mean"),))
RANGES = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
GROUPS = Groups(tuple(RANGES), {}, RANGES)
TRIALS, POINTS = 15, 3
SEARCH_COST, REPORT_COST, TRADE_COST = 100, 150, 200
"""Tokens of a trial."""


def model(ratios: dict[str, float]) -> Items:
    """The reward grows with both ratios; only the first costs facts."""
    rng = np.random.default_rng(0)
    return {
        "reward": (sum(ratios.values()) + 0.01 * rng.normal(size=50))[:, None],
        "facts": (rng.random(50) > ratios["a"]).astype(float)[:, None],
    }


def model_without_trade(ratios: dict[str, float]) -> Items:
    """All models are the same in truth; what they score differs by luck."""
    rng = np.random.default_rng(round(100 * sum(ratios.values())))
    return {
        "reward": rng.normal(size=(50, 1)),
        "facts": (rng.random((50, 1)) < 0.6).astype(float),
    }


class Run:
    """Asks a searcher, as Tune does, and answers for the engine.

    Attributes:
        said: What the recorder told.
        now: Seconds on the clock of the budget's hours.
    """

    def __init__(
        self,
        folder: Path,
        slots: int = 1,
        trials: int = TRIALS,
        *,
        resumed: bool = False,
        model: Callable[[dict[str, float]], Items] = model,
        groups: Groups = GROUPS,
        searched: int | None = None,
        shape: Parametrization | None = None,
        **given: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        fields = {"trials": trials, "report": {"points": POINTS}, "out": folder} | given
        self.said: list[str] = []
        self._model = model
        self._searched = searched
        earlier = read_trials(folder / "trials.csv") if resumed else []
        run = StoredRun(folder, RunConfig.load(ROOT / "run.yaml", **fields), OBJECTIVES, earlier)
        self.recorder = Recorder(run, lambda trial: None, self.said.append)
        shape = shape or Box(groups.ranges)
        shares = first_shares(len(groups.models), whole=False)
        first = [FirstPoint("baseline", groups.everywhere(each)) for each in shares]
        context = SamplerContext(shape.ranges, OBJECTIVES, trials, 1, len(first), seed=0, known=len(earlier))
        sampler, _ = samplers.make("tpe", context)
        study = open_study(RunFolder(folder, "study", ()), None, OBJECTIVES.names, sampler)
        self.study = study
        self.suggester = StudySuggester(shape, OBJECTIVES, study, first, finished=earlier)
        # On a busy machine the sampler of these tests, which has next to nothing to do, may need its time all the same.
        suggest, in_time = self.suggester.suggest, 30.0
        patched: Any = self.suggester
        patched.suggest = lambda wait=in_time: suggest(wait)
        self.now = 0.0
        spending = Spending(run.config.budget, Costs(SEARCH_COST, REPORT_COST, TRADE_COST), lambda: self.now)
        self.searcher = RunSearcher(groups, self.suggester, self.recorder, lambda: self.slots, spending)
        self._groups = groups
        self.slots = slots
        self.asked: list[dict[str, Any]] = []

    def next(self, patience: int = 200) -> Any:
        """The next suggestion; None where none comes however often Tune asks."""
        for _ in range(patience):
            if (config := self.searcher.suggest(str(len(self.asked)))) is not None:
                if isinstance(config, dict):
                    self.asked.append(config)
                return config
        return None

    def finish(self, position: int, error: bool = False) -> None:
        config = self.asked[position]
        items, base = self._model(config["ratios"]), self._model(self._groups.alone(0))
        spec = TrialSpec.from_config(config)
        trade: Items = {}
        if self._searched is not None and spec.split == "search":
            trade = items if spec.asks == "trade" else {}
            items, base = ({name: array[: self._searched] for name, array in of.items()} for of in (items, base))
        scores = OBJECTIVES.scores(items, base)
        result = TrialResult(spec, "e", 1.0, {}, state="complete", items=items, trade=trade, scores=scores).to_tune()
        self.searcher.on_trial_complete(str(position), None if error else result, error)
        if error:
            self.recorder.on_trial_error(0, [], TuneTrial(config, error=RuntimeError("no")))
        else:
            self.recorder.on_trial_complete(0, [], TuneTrial(dict(config), result))


def run_to_the_end(run: Run, lost: int | None = None) -> None:
    while (config := run.next()) != Searcher.FINISHED:
        assert config is not None
        run.finish(len(run.asked) - 1, error=config["number"] == lost)
