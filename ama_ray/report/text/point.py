"""One point of a run, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from ama_ray.report.formatting import PLUS_MINUS, decimals, plus_minus
from ama_ray.report.notes import split_note
from ama_ray.scores.tokens import TOKENS

if TYPE_CHECKING:
    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.scores.trial import Trial


def point_table(pareto: ParetoSet, trial: Trial) -> Table:
    """The objectives and probes of a point with their errors, and its ratios."""
    table = Table(
        title=f"Trial {trial.number} ({trial.origin}), {pareto.split} split",
        title_justify="left",
        caption=_caption(pareto, trial.models),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    for column in ("", "value", "from base (0%) to aligned (100%)"):
        table.add_column(column, justify="right" if column else "left")
    ends = (*pareto.front, *pareto.baseline)
    for name, estimate in trial.objectives.items():
        places = decimals(other.objectives[name].value for other in ends)
        share = "" if pareto.no_trade else f"{pareto.trade.share(trial, name):.0%}{' saved' * (name == TOKENS)}"
        table.add_row(name, plus_minus(estimate.value, estimate.se, places), share)
    for name, probe in trial.probes.items():
        table.add_row(name, plus_minus(probe.score, probe.score_se, 3), "")
    for name, replies in trial.replies.items():
        table.add_row(f"tokens per reply of {name}", plus_minus(replies.tokens, replies.tokens_se, 1), "")
        if replies.cut_off:
            table.add_row(f"cut off in thinking, of {name}", f"{replies.cut_off:.0%}", "")
    table.add_section()
    for group, ratio in trial.ratios.items():
        table.add_row(f"ratio of {group}", f"{ratio:.3f}", "")
    return table


def summed_up(pareto: ParetoSet, trial: Trial) -> str:
    """The objectives of a point with their errors, in a line; empty where it has none on the run's split."""
    ends = (*pareto.front, *pareto.baseline)
    written = []
    for name, estimate in trial.objectives.items():
        places = decimals(other.objectives[name].value for other in ends)
        written.append(f"{name} {plus_minus(estimate.value, estimate.se, places)}")
    return ", ".join(written)


def _caption(pareto: ParetoSet, models: int) -> str:
    of_what = "of aligned (0 is base, 1 is aligned)" if models == 1 else "of a model (what is left of 1 is base)"
    return (
        f"{split_note(pareto)} {PLUS_MINUS} tax: points (0-1) lost on the probes against base, mean over families; "
        f"probes: the score, in the metric of the probe; ratio: share {of_what}."
    )
