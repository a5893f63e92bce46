"""The front as a table for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from ama_ray.report.named import PLUS_MINUS, decimals, named, plus_minus

if TYPE_CHECKING:
    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial

_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 24
_ROOM = 34
"""Columns, of 80, that bars and probe scores share; a score takes five of them."""


def front_table(pareto: ParetoSet) -> Table:
    """The front by rising reward, then those of base, aligned and the best uniform point that are not on it.

    It fits in 80 columns: many groups share a bar, and the probes that find no room are in `trials.csv`.
    """
    names = named(pareto)
    rows = [*pareto.front, *{t.number: t for t in names.values() if t not in pareto.front}.values()]
    probes = list(dict.fromkeys(name for trial in rows for name in trial.probes))
    per_bar = math.ceil(max((len(trial.ratios) for trial in rows), default=1) / _MOST_BARS)
    bars = max((len(_profile(trial, per_bar)) for trial in rows), default=0)
    shown = probes[: (_ROOM - bars) // 5]
    reward_places, tax_places = decimals(t.reward for t in rows), decimals(t.tax for t in rows)

    table = Table(
        title=f"The front: {len(pareto.front)} of {len(pareto.trials)} trials",
        caption=_caption(pareto, hidden=len(probes) - len(shown), per_bar=per_bar),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("origin", no_wrap=True)
    table.add_column("reward ↑", justify="right", no_wrap=True)
    table.add_column("tax ↓", justify="right", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", overflow="fold", min_width=4, max_width=8)
    table.add_column("ratios", no_wrap=True)
    for position, trial in enumerate(rows, start=1):
        picks = [name for name, pick in names.items() if pick == trial]
        scores = [trial.probes[name].score if name in trial.probes else math.nan for name in shown]
        table.add_row(
            str(trial.number),
            _origin(trial, picks),
            plus_minus(trial.reward, trial.reward_se, reward_places),
            plus_minus(trial.tax, trial.tax_se, tax_places),
            *("" if math.isnan(score) else f"{score:.2f}" for score in scores),
            _profile(trial, per_bar),
            style="bold" if "knee" in picks else None,
            end_section=position == len(pareto.front),
        )
    return table


def _origin(trial: Trial, picks: list[str]) -> str:
    origin = f"uniform {trial.uniform_ratio:g}" if trial.origin == "baseline" else trial.origin
    if "knee" in picks:
        return "knee"
    ends = [name for name in picks if name in ("base", "aligned")]
    return (ends[0] if ends else origin) + ("*" if "best uniform" in picks else "")


def _profile(trial: Trial, per_bar: int) -> str:
    ratios = list(trial.ratios.values())
    shares = [ratios[start : start + per_bar] for start in range(0, len(ratios), per_bar)]
    levels = (round(sum(share) / len(share) * (len(_BARS) - 1)) for share in shares)
    return "".join(_BARS[min(max(level, 0), len(_BARS) - 1)] for level in levels)


def _caption(pareto: ParetoSet, hidden: int, per_bar: int) -> str:
    groups = "group" if per_bar == 1 else f"{per_bar} groups (their mean)"
    lines = [
        f"#: number of the trial. reward: mean score of the sampled replies. tax: points (0-1) lost on the probes "
        f"against base, mean over families; below 0 is a gain. {PLUS_MINUS}",
        "Probe columns: the score, 0-1." + (f" {hidden} more probes are in trials.csv." if hidden > 0 else ""),
        f"ratios: share of aligned, {_BARS[0]} is 0 (base) and {_BARS[-1]} is 1; one bar per {groups}, in the order "
        "of the search space.",
    ]
    if pareto.no_trade:
        return "\n".join([*lines, f"No knee and no hypervolume, as {pareto.no_trade}."])
    return "\n".join(
        [
            *lines,
            "knee: farthest above the line from base to aligned, both scaled to the box between them. "
            "*: of the uniform points (one ratio everywhere), the highest reward at no more tax than the knee.",
            f"Hypervolume (1 is the box between base and aligned): front {pareto.hypervolume:.3f}, "
            f"uniform {pareto.uniform_hypervolume:.3f}.",
        ]
    )
