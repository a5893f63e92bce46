"""`ParetoSet`: the front of a run, its hypervolume, and picking one of its points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ama_ray._front import hypervolume, non_dominated
from ama_ray.errors import UserError
from ama_ray.trials_csv import read_trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from ama_ray.config import RunConfig
    from ama_ray.trial import Trial


__all__ = ["ParetoSet", "hypervolume", "non_dominated"]


class ParetoSet:
    """The front of a run, with everything that was tried. Iterating goes over the front.

    Attributes:
        trials: Every trial, failed ones included.
        front: The complete trials that no other beats in reward and tax, by rising reward (and so by rising tax); of
            trials with identical objectives, the first.
        uniform: The complete baseline trials, by rising ratio.
        uniform_front: The ones among `uniform` that no other of them beats, by rising reward.
        hypervolume: Normalised hypervolume of the front, as `ama_ray.pareto.hypervolume` defines it; never below the
            uniform one, as the baselines are trials; NaN where `no_trade` says why.
        uniform_hypervolume: The same of the uniform points.
        no_trade: Why there is nothing to trade between base and aligned, such as an aligned model that costs no tax;
            empty where there is. Without a trade there is no hypervolume and no knee.
    """

    def __init__(self, trials: Sequence[Trial], config: RunConfig | None = None) -> None:
        self.trials = tuple(trials)
        self.config = config
        complete = [trial for trial in self.trials if trial.state == "complete"]
        self.front = _front(complete)
        baselines = [t for t in complete if t.origin == "baseline" and t.uniform_ratio is not None]
        self.uniform = tuple(sorted(baselines, key=lambda trial: trial.uniform_ratio or 0.0))
        self.uniform_front = _front(self.uniform)
        self.no_trade = self._why_no_trade()
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
        return cls(read_trials(run / "trials.csv"), RunConfig.load(run / "run.yaml"))

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.front)

    def __len__(self) -> int:
        return len(self.front)

    def __repr__(self) -> str:
        volumes = f"hypervolume {self.hypervolume:.3f}, uniform {self.uniform_hypervolume:.3f}"
        return f"<ParetoSet: {len(self)} of {len(self.trials)} trials on the front; {self.no_trade or volumes}>"

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

    def pick(
        self, how: Literal["knee"] | None = None, *, max_tax: float | None = None, min_reward: float | None = None
    ) -> Trial:
        """Picks one point of the front.

        `max_tax` alone picks the highest reward with at most that tax; `min_reward` alone the least tax with at least
        that reward. All else picks the knee of the points that the constraints leave: the point farthest above the
        line from base to aligned, both objectives scaled to the box between them, that is, the one with the largest
        (share of aligned's reward gain) - (share of aligned's tax); of equals the one with less tax.

        Args:
            how: `knee`, also under one constraint.
            max_tax: In points of the metrics (0-1): 0.02 is two points out of a hundred.
            min_reward: In units of the reward.

        Raises:
            UserError: No point satisfies the constraints, no trial is complete, or a knee is asked for where there is
                nothing to trade (`no_trade`).
        """
        if how not in (None, "knee"):
            raise UserError(f"{how!r} is not a pick; use 'knee', max_tax=... or min_reward=...")
        candidates = self._within(max_tax, min_reward)
        if how is None and (max_tax is None) != (min_reward is None):
            return candidates[-1] if min_reward is None else candidates[0]
        if self.no_trade:
            raise UserError(f"There is no knee, as {self.no_trade}; pick with max_tax or min_reward alone.")
        return max(candidates, key=self.above_line)

    def above_line(self, trial: Trial) -> float:
        """How far a trial is above the line from base to aligned: (share of the reward gain) - (share of the tax).

        Raises:
            UserError: Base or aligned has no complete trial.
        """
        base, aligned = self.base, self.aligned
        gain = (trial.reward - base.reward) / (aligned.reward - base.reward)
        return gain - (trial.tax - base.tax) / (aligned.tax - base.tax)

    def to_pandas(self) -> pd.DataFrame:
        """The front as a data frame: a row per point by rising reward, the columns of `trials.csv`.

        All trials are `pandas.read_csv("trials.csv")` in the folder of the run.
        """
        import pandas as pd

        return pd.DataFrame([trial.to_row() for trial in self.front])

    def export(self, point: Trial | int, out: str | Path) -> Path:
        """Writes the averaged checkpoint of a trial, on the front or not.

        Args:
            point: A trial or its number.
            out: The folder to write.

        Returns:
            The folder.

        Raises:
            UserError: There is no such trial, it failed, the run's configuration is unknown, or writing is refused.
        """
        trial = self._numbered(point) if isinstance(point, int) else point
        if trial.state != "complete":
            raise UserError(f"Trial {trial.number} failed ({trial.reason}); export one that is complete.")
        if self.config is None:
            raise UserError("This Pareto set does not know its pair; open it with ParetoSet.open(run folder).")
        from ama_ray.averaging import export
        from ama_ray.pair import Pair
        from ama_ray.space import SearchSpace

        pair = Pair.open(self.config.base, self.config.aligned)
        groups = SearchSpace.load(self.config.space).resolve(pair.names)
        export(pair, groups.ratio_of(trial.ratios), Path(out))
        return Path(out)

    def _numbered(self, number: int) -> Trial:
        for trial in self.trials:
            if trial.number == number:
                return trial
        on_front = ", ".join(str(trial.number) for trial in self.front)
        raise UserError(f"There is no trial {number}; the front has trials {on_front or '(none)'}.")

    def _endpoint(self, ratio: float, name: str) -> Trial:
        for trial in self.uniform:
            if trial.uniform_ratio == ratio:
                return trial
        raise UserError(f"The {name} model has no complete trial (uniform ratio {ratio:g}).")

    def _why_no_trade(self) -> str:
        try:
            base, aligned = self.base, self.aligned
        except UserError as error:
            reason = str(error).rstrip(".")
            return reason[0].lower() + reason[1:]
        if not aligned.reward > base.reward:
            return f"the aligned model does not raise the reward ({aligned.reward:.4g}, base {base.reward:.4g})"
        if not aligned.tax > base.tax:
            return f"the aligned model costs no tax ({aligned.tax:.4g}, base {base.tax:.4g})"
        return ""

    def _hypervolume(self, trials: Sequence[Trial]) -> float:
        if self.no_trade:
            return math.nan
        ends = ((trial.reward, trial.tax) for trial in (self.base, self.aligned))
        return hypervolume(*_objectives(trials), *ends)

    def _within(self, max_tax: float | None, min_reward: float | None) -> tuple[Trial, ...]:
        """The points of the front that satisfy the constraints: at least one."""
        if not self.front:
            raise UserError("No trial is complete, so there is no front to pick from.")
        cheap = [t for t in self.front if max_tax is None or t.tax <= max_tax]
        if not cheap:
            least = self.front[0]
            raise UserError(f"No point has tax at most {max_tax:g}; the least is {_tell(least)}.")
        good = tuple(t for t in cheap if min_reward is None or t.reward >= min_reward)
        if not good:
            under = "" if max_tax is None else f" with tax at most {max_tax:g}"
            raise UserError(f"No point{under} has reward at least {min_reward:g}; the highest is {_tell(cheap[-1])}.")
        return good


def _objectives(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    return [trial.reward for trial in trials], [trial.tax for trial in trials]


def _front(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    marked = zip(trials, non_dominated(*_objectives(trials)), strict=True)
    return tuple(sorted((trial for trial, keep in marked if keep), key=lambda trial: trial.reward))


def _tell(trial: Trial) -> str:
    return f"trial {trial.number} (reward {trial.reward:.4g}, tax {trial.tax:.4g})"
