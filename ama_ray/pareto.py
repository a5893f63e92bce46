"""`ParetoSet`: the front of a run, its hypervolume, and picking one of its points."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ama_ray import _points, _trade, _views
from ama_ray._front import hypervolume, non_dominated, reference_point
from ama_ray._split import is_reported
from ama_ray.constraints import Constraints
from ama_ray.errors import UserError
from ama_ray.trials_csv import read_trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from datasets import Dataset

    from ama_ray.config import RunConfig, Split
    from ama_ray.trial import Trial


__all__ = ["ParetoSet", "hypervolume", "non_dominated"]


class ParetoSet:
    """The front of a run on one split, with everything that was tried. Iterating goes over the front.

    The split is the report split once base and aligned were scored there, and the search split before. Only complete
    trials count: one that was stopped on a part of the items is on no front.

    Attributes:
        trials: Every trial as it was recorded, failed and stopped ones included.
        config: The run, or None where it is not known.
        split: Whose scores everything below is made from; its trials are seen on that split.
        objectives: Names: those of the rewards, maximised, then `tax`, minimised.
        scored: The complete trials with scores on the split.
        constraints: Of the run; without any where it is not known.
        left_out: Those `scored` that break a constraint on the split, and so are on no front; no twins.
        front: The trials among the rest that no other of them beats in the objectives, by rising tax (and so, with a
            single reward, by rising reward); of trials with identical objectives, the first. A twin is not on it: it
            was chosen by what the front is, for a comparison with a point of it.
        uniform: The baseline trials, by rising ratio; twins are not among them, so that both splits have the same.
        uniform_front: The ones among `uniform` that satisfy the constraints, as those of the front do, and that no
            other of them beats, by rising tax.
        hypervolume: Normalised hypervolume of the front, as `ama_ray.pareto.hypervolume` defines it, from `reference`
            on; never below the uniform one, as the baselines are trials; NaN where `no_trade` says why.
        uniform_hypervolume: The same of `uniform_front`.
        no_front: Why the front is empty: no trial is complete, or none satisfies the constraints; else empty.
        no_trade: Why there is nothing to trade between base and aligned, such as an aligned model that costs no tax;
            empty where there is. Without a trade there is no hypervolume and no knee.
    """

    def __init__(self, trials: Sequence[Trial], config: RunConfig | None = None, split: Split | None = None) -> None:
        """Makes the front of trials; `export` needs the run they are from, `split` is as said above by default."""
        self.trials = tuple(trials)
        self.config = config
        self.constraints = Constraints.of(config)
        self.split = split or ("report" if is_reported(self) else "search")
        seen = [trial.seen_on(self.split) for trial in self.trials if trial.state == "complete"]
        self.scored = tuple(trial for trial in seen if trial.scores)
        self.objectives = next((tuple(trial.objectives) for trial in self.scored), ("reward", "tax"))
        searched = [trial for trial in self.scored if trial.origin != "twin"]
        self.left_out = tuple(trial for trial in searched if not self._satisfies(trial))
        self.front = self._front(searched)
        baselines = [t for t in self.scored if t.origin == "baseline" and t.uniform_ratio is not None]
        self.uniform = tuple(sorted(baselines, key=lambda trial: trial.uniform_ratio or 0.0))
        self.uniform_front = self._front(self.uniform)
        self.no_front = _trade.why_no_front(self)
        self.no_trade = _trade.why_none(self)
        self.hypervolume = self._hypervolume(self.front)
        self.uniform_hypervolume = self._hypervolume(self.uniform_front)

    @classmethod
    def open(cls, run: str | Path) -> ParetoSet:
        """Reads the folder of a run, finished or not.

        Args:
            run: The folder; it holds `trials.csv` and `run.yaml`.

        Raises:
            UserError: One of the files is missing or unreadable.
        """
        from ama_ray.config import RunConfig

        run = Path(run)
        if not (run / "run.yaml").is_file():
            raise UserError(f"{run}: not the folder of a run, as it has no run.yaml; name the folder a run wrote to.")
        return cls(read_trials(run / "trials.csv"), RunConfig.load(run / "run.yaml", out=run))

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.front)

    def __len__(self) -> int:
        return len(self.front)

    def __repr__(self) -> str:
        volumes = f"hypervolume {self.hypervolume:.3f}, uniform {self.uniform_hypervolume:.3f}"
        counts = f"{len(self)} of {len(self.trials)} trials on the front, {self.split} split"
        return f"<ParetoSet: {counts}; {self.no_trade or volumes}>"

    @property
    def searched(self) -> tuple[Trial, ...]:
        """The trials of the search: without the twin, and the uniform points scored on the report split only."""
        return tuple(t for t in self.trials if t.search or (t.state == "failed" and self._was_searched(t)))

    def _was_searched(self, trial: Trial) -> bool:
        if trial.origin != "baseline" or self.config is None:
            return trial.origin != "twin"
        return trial.uniform_ratio in self.config.first_ratios

    @property
    def base(self) -> Trial:
        """The uniform trial at ratio 0.

        Raises:
            UserError: It failed, or has not run yet.
        """
        return self._endpoint(0.0, "base")

    @property
    def aligned(self) -> Trial:
        """The uniform trial at ratio 1.

        Raises:
            UserError: It failed, or has not run yet.
        """
        return self._endpoint(1.0, "aligned")

    @property
    def reference(self) -> dict[str, float]:
        """The point from which hypervolume counts, by objective: the run's, else base's rewards and aligned's tax.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        base, aligned = (dict(zip(self.objectives, self._values(e), strict=True)) for e in (self.base, self.aligned))
        return reference_point(base, aligned, self.config.reference if self.config else {})

    @cached_property
    def search_split(self) -> ParetoSet:
        """The set as the search saw it: the same trials with their scores on the search split."""
        return ParetoSet(self.trials, self.config, "search")

    @property
    def optimism(self) -> float:
        """How much the search had fooled itself: search minus report, in hypervolume.

        The hypervolume of the search's front from the numbers of the search split, minus the hypervolume of the same
        points from the numbers of the report split, each normalised by base and aligned of its split. Points of the
        search's front that were not scored again count in neither; those that do not satisfy the constraints by the
        report win nothing there. NaN before the report, and without a trade.
        """
        if self.split == "search":
            return math.nan
        again = [trial for trial in self.search_split.front if trial.report]
        return self.search_split._hypervolume(again) - self._hypervolume([trial.seen_on("report") for trial in again])

    def pick(
        self,
        how: Literal["knee"] | None = None,
        *,
        max_tax: float | None = None,
        min_reward: float | Mapping[str, float] | None = None,
        near: Mapping[str, float] | None = None,
    ) -> Trial:
        """Picks one point of the front.

        `max_tax` alone picks the highest reward with at most that tax; with several reward objectives, the largest
        `gain`. `min_reward` alone picks the least tax with at least that reward. `near` picks, of the points that the
        constraints leave, the nearest to a wish, where base and aligned are 1 apart in each objective. All else picks
        the knee of those points: the one farthest above the line from base to aligned (`above_line`); of equals
        the one with less tax.

        Args:
            how: `knee`, also under one constraint.
            max_tax: In points of the metrics (0-1): 0.02 is two points out of a hundred.
            min_reward: In units of the reward; by name where there are several: `{"helpful": 3.0}`.
            near: Values by objective: `{"reward": 3.8, "tax": 0.05}`; an objective that it leaves out does not count.

        Raises:
            UserError: No point satisfies the constraints, no trial is complete, an objective is unknown, or a gain, a
                distance or a knee is asked for where there is nothing to trade (`no_trade`).
        """
        return _trade.pick(self, how, max_tax, min_reward, near)

    def point(self, name: str | int) -> Trial:
        """A trial by its name: `knee`, `base`, `aligned`, `uniform-0.5`, or the number of any trial.

        Raises:
            UserError: There is no such trial.
        """
        return _points.point(self, name)

    def share(self, trial: Trial, objective: str) -> float:
        """How far a trial is from base (0) to aligned (1) in one objective.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        value, base, aligned = (each.objectives[objective].value for each in (trial, self.base, self.aligned))
        return (value - base) / (aligned - base)

    def gain(self, trial: Trial) -> float:
        """The `share` of what aligned won, the mean over the reward objectives.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        shares = [self.share(trial, name) for name in self.objectives[:-1]]
        return math.fsum(shares) / len(shares)

    def above_line(self, trial: Trial) -> float:
        """How far a trial is above the line from base to aligned: `gain` minus the `share` of the tax.

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        return self.gain(trial) - self.share(trial, "tax")

    def to_pandas(self) -> pd.DataFrame:
        """The front as a data frame: a row per point by rising tax, the columns of `trials.csv`.

        All trials are `pandas.read_csv("trials.csv")` in the folder of the run.
        """
        import pandas as pd

        return pd.DataFrame([trial.to_row() for trial in self.front])

    def to_dataset(self) -> Dataset:
        """All that was scored, item by item: a row per complete trial, split, reward or probe, and item.

        `values` are what the reward or the metric of the probe takes the mean of: of a reward, the mean score of the
        replies to a prompt; of a probe, its statistics of an item (`ama_ray.metrics`). Items of a name and a split are
        in the same order for every trial.

        Raises:
            UserError: The run's folder is unknown, or has lost items.
        """
        return _views.to_dataset(self)

    def _repr_html_(self) -> str:
        return _views.to_html(self)

    def export(self, point: Trial | int | str, out: str | Path) -> Path:
        """Writes the averaged checkpoint of a trial, on the front or not, so that it can be published.

        Beside the weights: `README.md`, a model card; `merge.json`, from which `ama-ray export --from` makes the same
        weights; and `mergekit.yaml`, the same merge for mergekit, where that can make it.

        Args:
            point: A trial, or its name as `point` takes it.
            out: The folder to write.

        Returns:
            The folder.

        Raises:
            UserError: There is no such trial, it failed, the run's configuration is unknown, or writing is refused.
        """
        from ama_ray.export import export_point

        return export_point(self, point, Path(out))

    def _endpoint(self, ratio: float, name: str) -> Trial:
        for trial in self.uniform:
            if trial.uniform_ratio == ratio:
                return trial
        raise UserError(f"The {name} model has no complete trial (uniform ratio {ratio:g}).")

    def _satisfies(self, trial: Trial) -> bool:
        return trial.scores is not None and self.constraints.satisfied(trial.scores)

    def _values(self, trial: Trial) -> list[float]:
        return [trial.objectives[name].value for name in self.objectives]

    def _front(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        allowed = [trial for trial in trials if self._satisfies(trial)]
        marked = zip(allowed, non_dominated([self._values(trial) for trial in allowed]), strict=True)
        # Of equal tax, which several rewards allow, the highest first reward comes first.
        return tuple(sorted((trial for trial, keep in marked if keep), key=lambda t: (t.tax, -t.reward)))

    def _hypervolume(self, trials: Sequence[Trial]) -> float:
        if self.no_trade:
            return math.nan
        points = [self._values(trial) for trial in trials if self._satisfies(trial)]
        return hypervolume(points, self._values(self.base), self._values(self.aligned), [*self.reference.values()])
