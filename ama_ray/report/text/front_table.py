"""The front as a table for the terminal."""

from __future__ import annotations

import itertools
import math
import textwrap
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ama_ray.errors import UserError
from ama_ray.pareto.named_points import named
from ama_ray.report.formatting import PLUS_MINUS, decimals, plus_minus
from ama_ray.report.notes import brackets, conditions, cut_off_note, split_note, used_test_data, volumes
from ama_ray.scores.tokens import TOKENS, minimised, rewards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 24
_LEAST_BARS = 8
_LEAST_SCORE = 4
_WIDTH = 80


def front_table(run: StoredRun, front: Sequence[Trial] | None = None) -> Table:
    """The front by rising tax, or in another order, then those of base, aligned and the best uniform point beside it.

    It fits in 80 columns: many groups share a bar, and the probes that find no room are in `trials.csv`.
    """
    pareto = run.pareto
    names = named(pareto)
    on_front = {trial.number for trial in pareto.front}
    rows = [*(front or pareto.front), *{t.number: t for t in names.values() if t.number not in on_front}.values()]
    origins = [_origin(trial, [name for name, pick in names.items() if pick == trial]) for trial in rows]
    objectives = {name: _objective(name, rows) for name in pareto.objectives}
    sure = {"front": [_on_front(run, trial) for trial in rows]} if run.claims.groups else {}
    fixed = {"#": [str(trial.number) for trial in rows], "origin": origins, **objectives, **sure}
    room = _WIDTH - sum(1 + max(map(len, cells), default=0) for cells in fixed.values())
    top = _top(rows)
    most_bars = max(_LEAST_BARS, min(_MOST_BARS, room))
    per_bar = math.ceil(max((len(trial.ratios) for trial in rows), default=1) / most_bars)
    bars = max((len(_profile(trial, per_bar, top)) for trial in rows), default=0)
    probes = list(dict.fromkeys(name for trial in rows for name in trial.probes))
    shown = _that_fit({name: [_score(trial, name) for trial in rows] for name in probes}, room - bars)

    warning = used_test_data(run)
    table = Table(
        title=f"{warning}\n" * bool(warning)
        + f"The front on the {pareto.split} split: {len(pareto.front)} of {len(pareto.scored)} points",
        caption=_caption(run, shown=len(shown), hidden=len(probes) - len(shown), per_bar=per_bar, top=top),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("origin", no_wrap=True)
    for name, cells in objectives.items():
        header = textwrap.wrap(f"{name} {'↓' if minimised(name) else '↑'}", max([8, *map(len, cells)]))
        table.add_column("\n".join(header), justify="right", no_wrap=True)
    for name in sure:
        table.add_column(name, justify="right", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", overflow="fold", min_width=_LEAST_SCORE, max_width=8)
    table.add_column("ratios", no_wrap=True)
    for position, trial in enumerate(rows):
        table.add_row(
            *(cells[position] for cells in fixed.values()),
            *(cells[position] for cells in shown.values()),
            _profile(trial, per_bar, top),
            style="bold" if origins[position] == "knee" else None,
            end_section=position + 1 == len(pareto.front),
        )
    return table


def _objective(name: str, rows: Sequence[Trial]) -> list[str]:
    estimates = [trial.objectives[name] for trial in rows]
    places = decimals(estimate.value for estimate in estimates)
    return [plus_minus(estimate.value, estimate.se, places) for estimate in estimates]


def _on_front(run: StoredRun, trial: Trial) -> str:
    probability = run.claims.on_front.get(trial.number, math.nan)
    return "" if math.isnan(probability) else f"{probability:.0%} {run.claims.group(trial.number) or ' '}"


def _score(trial: Trial, probe: str) -> str:
    return f"{trial.probes[probe].score:.2f}" if probe in trial.probes else ""


def _that_fit(probes: dict[str, list[str]], room: int) -> dict[str, list[str]]:
    """The first probes whose scores find room, each with a space before it."""
    widths = itertools.accumulate(1 + max([_LEAST_SCORE, *map(len, cells)]) for cells in probes.values())
    return {name: probes[name] for name, width in zip(probes, widths, strict=True) if width <= room}


def _origin(trial: Trial, picks: list[str]) -> str:
    origin: str = trial.origin
    if origin == "baseline":
        origin = trial.title if trial.models > 1 else f"uniform {trial.uniform_ratio:g}"
    if "knee" in picks:
        return "knee"
    ends = [name for name in picks if name in ("base", "aligned")]
    return (ends[0] if ends else origin) + ("*" if "best uniform" in picks else "")


def _top(rows: Sequence[Trial]) -> float:
    """The ratio of a full bar: aligned's, or where some are extrapolated, the highest in steps of 0.1."""
    highest = max((ratio for trial in rows for ratio in trial.ratios.values()), default=1.0)
    return max(1.0, math.ceil(round(highest * 10, 6)) / 10)


def _profile(trial: Trial, per_bar: int, top: float) -> str:
    ratios = list(trial.ratios.values())
    shares = [ratios[start : start + per_bar] for start in range(0, len(ratios), per_bar)]
    levels = (round(sum(share) / len(share) / top * (len(_BARS) - 1)) for share in shares)
    return "".join(_BARS[min(max(level, 0), len(_BARS) - 1)] for level in levels)


def _caption(run: StoredRun, shown: int, hidden: int, per_bar: int, top: float) -> str:
    pareto = run.pareto
    several = any(trial.models > 1 for trial in pareto.baseline)
    one, more, of = ("group and model", "of these", "each aligned model") if several else ("group", "groups", "aligned")
    groups = one if per_bar == 1 else f"{per_bar} {more} (their mean)"
    uniform = "points of the baseline" if several else "uniform points (one ratio everywhere)"
    aligned = pareto.trade.ends.get("aligned")
    lines = [
        split_note(pareto),
        conditions(pareto),
        f"{pareto.no_front}." * bool(pareto.left_out and pareto.no_front),
        f"#: number of the trial. {', '.join(rewards_of(pareto.objectives))}: mean score of the sampled replies. "
        + f"tokens: mean per reply of {run.objectives.tokens.of}. " * (TOKENS in pareto.objectives)
        + f"tax: points (0-1) lost on the probes against base, mean over families; below 0 is a gain. {PLUS_MINUS}",
        "front: the share of resamples of the items in which no other point beats it; then the same letter for points "
        "of the front that do not differ beyond error (paired, 95%)." * bool(run.claims.groups),
        "Uniform points that none beats beyond doubt (in all objectives, paired, 95%) are on the front, too."
        * (len(pareto.front) > len(pareto.unbeaten)),
        cut_off_note(pareto),
        "Probe columns: the score, in the metric of the probe." * bool(shown)
        + f" {hidden} more probes are in trials.csv." * bool(hidden),
        f"aligned: {aligned.title}, the model with the highest reward alone." if several and aligned else "",
        f"ratios: share of {of}, {_BARS[0]} is 0 (base) and {_BARS[-1]} is {top:g}; one bar per {groups}, in the order "
        "of the search space.",
    ]
    if pareto.no_trade:
        lines.append(f"No knee and no hypervolume, as {pareto.no_trade}.")
    else:
        lines.append(
            "knee: farthest above the line from base to aligned, each objective scaled to the box between them. "
            f"*: of the {uniform}, the highest reward at no more tax than the knee." * bool(pareto.front)
        )
        lines += [volumes(run), brackets(run)]
    return "\n".join(filter(None, lines))


def by_column(pareto: ParetoSet, column: str) -> list[Trial]:
    """Sorts a front by a column of `trials.csv`, on the split of the front; by a falling one with a minus before it.

    The name of a probe alone means its score. Trials without a value come last.

    Raises:
        UserError: No trial has such a column.
    """
    name, falling = column.removeprefix("-"), column.startswith("-")
    values: dict[int, Any] = {}
    for trial in pareto.front:
        row = trial.to_row() | (trial.scores.to_row() if trial.scores else {})
        found = row.get(name, row.get(f"{name}.score"))
        if found is not None and not (isinstance(found, float) and math.isnan(found)):
            values[trial.number] = found
    if pareto.front and not values:
        there = [*pareto.objectives, *dict.fromkeys(name for trial in pareto.front for name in trial.probes)]
        raise UserError(
            f"--sort {column}: the front has no such column; name one of trials.csv: number, {', '.join(there)}, ..."
        )
    known = [trial for trial in pareto.front if trial.number in values]
    rest = [trial for trial in pareto.front if trial.number not in values]
    return [*sorted(known, key=lambda trial: values[trial.number], reverse=falling), *rest]
