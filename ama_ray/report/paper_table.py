"""The paper's table: base, aligned, uniform averaging and the picks, by family, with paired comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.analysis.bootstrap import resample
from ama_ray.pareto.named_points import knee
from ama_ray.report.notes import conditions, place, split_note, used_test_data
from ama_ray.run import StoredRun
from ama_ray.scores.families import families
from ama_ray.scores.interval import Interval
from ama_ray.scores.metrics import METRICS
from ama_ray.scores.tokens import minimised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.objectives import Objectives
    from ama_ray.scores.trial import Trial

UNIFORM = (0.8, 0.6, 0.4, 0.2)
"""The ratios of uniform averaging that are shown."""


@dataclass(frozen=True)
class Measure:
    """A column: a reward objective, a family or the tax.

    Attributes:
        name: Of the objective or the family.
        higher_is_better: None for a family whose probes differ in that.
        scale: What scores are shown times: 100 for a family of metrics from 0 to 1, else 1.
    """

    name: str
    higher_is_better: bool | None
    scale: int = 1


@dataclass(frozen=True)
class TableRow:
    """A model with its values, or its differences from another, by measure.

    Attributes:
        label: What the model is called.
        trial: Its trial.
        values: An interval per measure, scaled.
    """

    label: str
    trial: Trial
    values: tuple[Interval, ...]


@dataclass(frozen=True)
class Block:
    """One pick against its rivals: a row per rival, with the pick minus the rival."""

    label: str
    trial: Trial
    against: tuple[TableRow, ...]


@dataclass(frozen=True)
class PaperTable:
    """The paper's table of one run.

    Attributes:
        measures: The rewards, the families, the tax.
        rows: Base, aligned, some uniform points and the picks; with 95% intervals (`Objectives.intervals`; of the tax,
            1.96 paired standard errors).
        blocks: Per pick, its differences from base, aligned and the uniform point of the same mean ratio; 95%
            intervals of the paired bootstrap.
        notes: What to know of the numbers, first whether the search used test data.
    """

    measures: tuple[Measure, ...]
    rows: tuple[TableRow, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]

    @classmethod
    def open(
        cls, run: str | Path, *, max_tax: float | None = None, min_reward: float | Mapping[str, float] | None = None
    ) -> PaperTable:
        """Makes the table of a run from its folder.

        Args:
            run: The folder, with `run.yaml`, `trials.csv` and `items`.
            max_tax: Also show the point that `ParetoSet.pick(max_tax=...)` picks.
            min_reward: Also show the point that `ParetoSet.pick(min_reward=...)` picks.

        Raises:
            UserError: A file of the run is missing or unreadable, or there is no such pick.
        """
        stored = StoredRun.open(run)
        return cls.of(stored, _picks(stored.pareto, max_tax, min_reward))

    @classmethod
    def of(cls, run: StoredRun, picks: Mapping[str, Trial]) -> PaperTable:
        """Makes the table.

        Args:
            run: The run.
            picks: The points to show, by what they are called.

        Raises:
            UserError: Base or aligned has no complete trial, or the items of a trial are missing.
        """
        pareto = run.pareto
        known = {"base": pareto.base, "aligned": pareto.aligned}
        by_ratio = {trial.uniform_ratio: trial for trial in pareto.uniform}
        known |= {f"uniform {ratio:g}": by_ratio[ratio] for ratio in UNIFORM if ratio in by_ratio}
        ends = [end.number for end in known.values()]
        known |= {t.title: t for t in pareto.baseline if t.alone and t.number not in ends}
        measures = tuple(_measures(run.objectives))
        shown = {**known, **_merged(picks)}
        rows = [TableRow(label, trial, tuple(_values(run, measures, trial))) for label, trial in shown.items()]
        notes = [used_test_data(run), split_note(pareto), conditions(pareto)]
        notes.append(f"{pareto.no_front}." if pareto.no_front else "")
        notes.append(f"There is no knee, as {pareto.no_trade}." if pareto.no_trade else "")
        notes += [place(run, trial) for trial in {trial.number: trial for trial in picks.values()}.values()]
        blocks = _blocks(run, measures, _merged(picks))
        return cls(measures, tuple(rows), tuple(blocks), tuple(note for note in notes if note))


def _picks(
    pareto: ParetoSet, max_tax: float | None, min_reward: float | Mapping[str, float] | None
) -> dict[str, Trial]:
    top = knee(pareto)
    picks = {} if top is None else {"knee": top}
    if max_tax is not None:
        picks[f"tax ≤ {max_tax:g}"] = pareto.pick(max_tax=max_tax)
    if min_reward is not None:
        least = {pareto.objectives[0]: min_reward} if isinstance(min_reward, int | float) else min_reward
        label = ", ".join(f"{name} ≥ {value:g}" for name, value in least.items())
        picks[label] = pareto.pick(min_reward=min_reward)
    return picks


def _merged(picks: Mapping[str, Trial]) -> dict[str, Trial]:
    """Picks that are one point, under all their names."""
    by_number: dict[int, list[str]] = {}
    for label, trial in picks.items():
        by_number.setdefault(trial.number, []).append(label)
    return {" and ".join(labels): picks[labels[0]] for labels in by_number.values()}


def _measures(objectives: Objectives) -> list[Measure]:
    metrics = {term.name: term.metric for term in objectives.probes}
    columns = [Measure(name, higher_is_better=not minimised(name)) for name in objectives.names[:-1]]
    for family, members in families(objectives.probes).items():
        better = {METRICS[metrics[name]].higher_is_better for name in members}
        percent = all(METRICS[metrics[name]].bounded for name in members)
        columns.append(Measure(family, better.pop() if len(better) == 1 else None, 100 if percent else 1))
    return [*columns, Measure("tax", higher_is_better=False)]


def _values(run: StoredRun, measures: Sequence[Measure], trial: Trial) -> list[Interval]:
    known = run.objectives.intervals(run.items.read(run.pareto.split, trial.number))
    rewards = [known[name] for name in run.objectives.names[:-1]]
    of_families = [known[f"family.{family}"] for family in families(run.objectives.probes)]
    values = [*rewards, *of_families, Interval.normal(trial.objectives["tax"])]
    return [each.times(m.scale) for each, m in zip(values, measures, strict=True)]


def _blocks(run: StoredRun, measures: Sequence[Measure], picks: Mapping[str, Trial]) -> list[Block]:
    if not picks:
        return []
    pareto = run.pareto
    rivals = {label: _rivals(pareto, trial) for label, trial in picks.items()}
    needed = {trial.number for trial in [*picks.values(), *(t for those in rivals.values() for t in those.values())]}
    models = [run.items.read(pareto.split, number) for number in sorted(needed)]
    drawn = dict(zip(sorted(needed), resample(run.objectives, models), strict=True))

    def differences(pick: Trial, rival: Trial) -> tuple[Interval, ...]:
        found = drawn[pick.number].minus(drawn[rival.number])
        *rewards, tax = found.objectives.values()
        every = [*rewards, *found.families.values(), tax]
        return tuple(each.times(m.scale) for each, m in zip(every, measures, strict=True))

    return [
        Block(
            label, pick, tuple(TableRow(name, rival, differences(pick, rival)) for name, rival in rivals[label].items())
        )
        for label, pick in picks.items()
    ]


def _rivals(pareto: ParetoSet, pick: Trial) -> dict[str, Trial]:
    """Base, aligned, and the uniform point whose ratio is nearest to the mean ratio of a pick; not the pick itself.

    A twin, scored for this comparison, has exactly that ratio.
    """
    twins = [trial for trial in pareto.scored if trial.origin == "twin"]
    like = min([*twins, *pareto.uniform], key=lambda trial: abs(trial.mean_ratio - pick.mean_ratio))
    named = {"base": pareto.base, "aligned": pareto.aligned, f"uniform {like.mean_ratio:.3g}": like}
    different: dict[int, str] = {}
    for label, trial in named.items():
        different.setdefault(trial.number, label)
    return {label: named[label] for number, label in different.items() if number != pick.number}
