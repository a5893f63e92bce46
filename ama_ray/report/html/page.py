"""Everything that the page shows, as one structure that JSON can hold."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict, astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from ama_ray.analysis.importance import METHOD, Importance
from ama_ray.pareto.named_points import knee
from ama_ray.report.formatting import decimals, with_interval
from ama_ray.report.notes import cut_off_note, used_test_data
from ama_ray.scores.families import families, family_tax
from ama_ray.scores.interval import Interval
from ama_ray.scores.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.analysis.claims import Claims
    from ama_ray.analysis.convergence import Step
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Scores, Trial

_ALL_REPLIES = 1_200_000
"""Most characters of all replies of a page together: it is to stay small enough to send around."""
_LONGEST_REPLY = 2_000

ValueAndError = tuple[float, float]
"""A value and its standard error."""


@dataclass(frozen=True)
class Seen:
    """A trial on one split.

    Attributes:
        objectives: In the order of `Page.objectives`.
        probes: In the order of `Page.probes`: score and its error, tax and its error; None where it has none.
        families: In the order of `Page.families`: tax and its error.
        front: Whether it is on the front of this split.
        unbeaten: Whether it is there as no other point beats it, by these estimates.
        complete: Whether all items were scored; estimates of a stopped trial are on no front.
        probability: Share of the resamples in which no other point beats it; NaN where it is not known.
        group: The letter of its group of points that do not differ beyond error; empty off the front.
    """

    objectives: list[ValueAndError]
    probes: list[tuple[float, float, float, float] | None]
    families: list[ValueAndError]
    front: bool
    unbeaten: bool
    complete: bool
    probability: float
    group: str


@dataclass(frozen=True)
class PagePoint:
    """A trial, as the page shows it.

    Attributes:
        number: Of the trial.
        name: `base`, `aligned`, `uniform 0.5`, or its origin.
        baseline: Whether it is a point of the baseline.
        uniform: The ratio of a uniform point of it, else None.
        ratios: In the order of `Page.groups`.
        seen: By split.
        replies: To `Page.prompts`; empty where none were kept.
        command: Exports it.
        share: Of the search's items that it was scored on (0-1).
    """

    number: int
    name: str
    baseline: bool
    uniform: float | None
    ratios: list[float]
    seen: dict[str, Seen]
    replies: list[str]
    command: str
    share: float


@dataclass(frozen=True)
class Page:
    """What the page shows; the attributes that end in `digits` say with how many decimals.

    Attributes:
        split: What is shown first; `splits` are those that can be shown.
        objectives: Names; the last one is `tax`.
        probes: Name, family, whether higher scores are better, and whether they lie between 0 and 1.
        models: The names of several aligned models; empty where there is one.
        named: Numbers of base, aligned and each split's knee, where there are any.
        trade: Why there is none between base and aligned, by split; empty where there is.
        convergence: Columns of `convergence.csv`, with the uniform front's hypervolume and that of the report.
    """

    split: str
    splits: list[str]
    objectives: list[str]
    digits: list[int]
    groups: list[str]
    probes: list[tuple[str, str, bool, bool]]
    families: list[str]
    points: list[PagePoint]
    models: list[str]
    named: dict[str, int | None]
    trade: dict[str, str]
    prompts: list[str]
    convergence: dict[str, Any]
    importance: list[Importance]
    method: str = METHOD
    fixed_mean: float | None = None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers: what is not known is None, numbers have six digits."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def page(run: StoredRun, steps: Sequence[Step], effects: Sequence[Importance] | None = None) -> Page:
    """Collects what the page shows.

    Args:
        run: The run; its replies are read.
        steps: Of its search, as `ama_ray.analysis.convergence` has them.
        effects: Of its groups, where they are known already.
    """
    pareto = run.pareto
    sets: dict[str, ParetoSet] = {each.split: each for each in (pareto, run.searched_pareto) if each.scored}
    described = _Described(run, sets)
    shown = (*pareto.front, *pareto.baseline)
    named: dict[str, int | None] = {"base": None, "aligned": None}
    for split, each in sets.items():
        top = knee(each)
        named[f"knee.{split}"] = top.number if top else None
    named |= {name: trial.number for name, trial in pareto.trade.ends.items()}
    return Page(
        split=pareto.split,
        splits=list(sets),
        objectives=list(pareto.objectives),
        digits=[decimals(trial.objectives[name].value for trial in shown) for name in pareto.objectives],
        groups=list(run.trials[0].ratios) if run.trials else [],
        probes=[(name, *described.probes[name]) for name in described.probes],
        families=list(described.families),
        points=[described.point(trial) for trial in run.trials if trial.state != "failed"],
        models=[name for name in run.config.models if name],
        named=named,
        trade={split: each.no_trade for split, each in sets.items()},
        prompts=described.prompts,
        convergence=_convergence(run, steps),
        importance=list(run.importance() if effects is None else effects),
        fixed_mean=run.config.mean_ratio,
        warnings=_warnings(run),
    )


class _Described:
    """The trials of a run as points."""

    def __init__(self, run: StoredRun, sets: Mapping[str, ParetoSet]) -> None:
        self._folder = shlex.quote(str(run.folder.resolve()))
        self._sets = sets
        self._claims: dict[str, Claims] = {run.searched_pareto.split: run.searched_claims, run.pareto.split: run.claims}
        names = dict.fromkeys(n for t in run.trials for s in (t.search, t.report) if s for n in s.probes)
        self.probes: dict[str, tuple[str, bool, bool]] = dict.fromkeys(names, ("", True, True))
        terms = [term for term in run.objectives.probes if term.name in names]
        metrics = [METRICS[term.metric] for term in terms]
        self.probes |= {
            term.name: (term.family, metric.higher_is_better, metric.bounded)
            for term, metric in zip(terms, metrics, strict=True)
        }
        self.families = {family: members for family, members in families(terms).items() if names.keys() >= set(members)}
        self._replies = run.replies.read()
        kept = max(self._replies.values(), key=len, default=())
        self.prompts = [_cut(each.prompt, _LONGEST_REPLY) for each in kept]
        count = sum(len(replies) for replies in self._replies.values())
        self._longest = min(_LONGEST_REPLY, _ALL_REPLIES // max(count, 1))

    def point(self, trial: Trial) -> PagePoint:
        uniform = trial.uniform_ratio if trial.origin in ("baseline", "twin") else None
        name = trial.title if trial.origin == "baseline" else ""
        return PagePoint(
            number=trial.number,
            name=name if trial.origin != "twin" else f"twin of the knee, uniform {uniform:.3g}",
            baseline=trial.origin == "baseline",
            uniform=uniform if trial.origin == "baseline" else None,
            ratios=list(trial.ratios.values()),
            seen={
                split: self._seen(trial, scores, split)
                for split, scores in (("search", trial.search), ("report", trial.report))
                if scores and split in self._sets
            },
            replies=[_cut(each.reply, self._longest) for each in self._replies.get(trial.number, ())],
            command=f"ama-ray export {self._folder} --point {trial.number} -o merged",
            share=trial.share,
        )

    def _seen(self, trial: Trial, scores: Scores, split: str) -> Seen:
        results = [scores.probes.get(name) for name in self.probes]
        return Seen(
            objectives=[(each.value, each.se) for each in scores.objectives.values()],
            probes=[(r.score, r.score_se, r.tax, r.tax_se) if r else None for r in results],
            families=[astuple(family_tax(scores, probes)) for probes in self.families.values()],
            front=any(each.number == trial.number for each in self._sets[split].front),
            unbeaten=any(each.number == trial.number for each in self._sets[split].unbeaten),
            complete=split == "report" or trial.state == "complete",
            probability=self._claims[split].on_front.get(trial.number, math.nan),
            group=self._claims[split].group(trial.number),
        )


def _convergence(run: StoredRun, steps: Sequence[Step]) -> dict[str, Any]:
    intervals = [Interval.normal(step.held_out) for step in steps]
    return {
        "trials": [step.trials for step in steps],
        "hypervolume": [step.hypervolume for step in steps],
        "held_out": [each.value for each in intervals],
        "low": [each.low for each in intervals],
        "high": [each.high for each in intervals],
        "uniform": run.searched_pareto.uniform_hypervolume,
        "again": run.searched_pareto.hypervolume - run.optimism.value,
    }


def _warnings(run: StoredRun) -> list[str]:
    pareto = run.pareto
    failed = [trial for trial in run.trials if trial.reason]
    told = [
        used_test_data(run),
        "These are numbers of the search split, by which the points were chosen: so they are somewhat too good. The "
        "report split was not scored." * bool(pareto.split == "search" and pareto.scored),
        f"No hypervolume and no knee: {pareto.no_trade}." * bool(pareto.no_trade and pareto.scored),
        f"{pareto.no_front}." * bool(pareto.no_front),
        cut_off_note(pareto),
    ]
    if not math.isnan(run.optimism.value):
        told.append(
            f"Search optimism {with_interval(run.optimism, 'z.3f')}: the hypervolume of the search's front by the "
            "numbers of the search, minus that of the same points on items it never saw."
        )
    if failed:
        told.append(f"{len(failed)} of {len(run.trials)} trials failed; the last one: {failed[-1].reason[:300]}")
    return [each for each in told if each]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} […]"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
