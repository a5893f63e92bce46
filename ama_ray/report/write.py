"""The files of a finished run."""

from __future__ import annotations

import csv
import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from ama_ray.report.html.provenance import environment
from ama_ray.report.html.render import write_html
from ama_ray.report.json_fields import claim_fields, front_row, interval_fields, value_or_null
from ama_ray.report.notes import used_test_data
from ama_ray.report.plots.convergence import plot_convergence
from ama_ray.report.plots.families import plot_families
from ama_ray.report.plots.front import plot_front
from ama_ray.report.plots.importance import plot_importance
from ama_ray.report.plots.mixture import plot_mixture
from ama_ray.report.text.trade import why_unclear
from ama_ray.scores.interval import Interval
from ama_ray.scores.trial import Estimate
from ama_ray.storage.files import replacing
from ama_ray.storage.names import CONVERGENCE, FRONT, SUMMARY
from ama_ray.storage.records import write_trials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ama_ray.analysis.convergence import Step
    from ama_ray.run import StoredRun


def write_report(run: StoredRun, timing: Mapping[str, Any], ended: str = "", *, interrupted: bool = False) -> None:
    """Writes the results of a run beside its `trials.csv`.

    `front.csv` has the columns of `trials.csv`, the front only, with the share of resamples in which each point is on
    the front (`front.probability`) and the letter of its group (`front.group`; see `Claims.groups`); `front.png` is the
    picture, `report.html` a page with everything; `summary.json` holds the normalised hypervolumes of the split that
    the front is from and of the search split, how much the search had fooled itself (`StoredRun.optimism`), all that is
    said of the front with 95% intervals (`claims`), which share of the search's items was evaluated
    (the rest was saved by stopping trials), where the time went, the versions and the machine. What is not known is
    null. `trade` is the paired test of base against aligned on the search split; where it ended the search,
    `unclear_trade` says why. With constraints it also holds these and how many trials they left out; with a reference
    point, that. `families.png` is what every family of probes costs along the front, `importance.png` which groups
    matter for which objective; they are left out where there is no front, or too few trials. `mixture.png` has the
    shares of several aligned models over depth.
    `convergence.png` and `convergence.csv` are the hypervolume on the search split after every trial, and what of it
    holds on other items (`held_out`, with its 95% interval; see `ama_ray.analysis.convergence.SplitHalves`), which is
    known where the run folder has `items/`.

    Args:
        run: The run.
        timing: Seconds by stage, the share of orchestration, and the seconds up to the first trial by part.
        ended: Why the search ended before its last trial; empty where it did not.
        interrupted: A signal ended the run, which can be gone on with.
    """
    pareto, out = run.pareto, run.folder
    write_trials(out / FRONT, pareto.front, partial(front_row, run))
    steps = run.convergence()
    _write_steps(steps, out / CONVERGENCE)
    plot_front(run, *_pictures(out, "front"))
    plot_convergence(steps, run, *_pictures(out, "convergence"))
    plot_families(run, *_pictures(out, "families"))
    plot_mixture(run, *_pictures(out, "mixture"))
    effects = run.importance()
    if effects:
        plot_importance(effects, list(run.trials[0].ratios), *_pictures(out, "importance"))
    held_out = steps[-1].held_out if steps else Estimate()
    warning = used_test_data(run)
    searched = [trial for trial in run.trials if trial.search is not None]
    summary: dict[str, Any] = {
        **({"warning": warning} if warning else {}),
        "split": pareto.split,
        **_asked(run),
        **_trade(run),
        "ended": ended,
        "interrupted": interrupted,
        "trials": len(run.searched),
        "stopped": sum(trial.state == "stopped" for trial in run.trials),
        "evaluated": sum(trial.share for trial in searched) / len(searched) if searched else None,
        "failed": sum(trial.state == "failed" for trial in run.trials),
        "hypervolume": value_or_null(pareto.hypervolume),
        "uniform_hypervolume": value_or_null(pareto.uniform_hypervolume),
        "search_hypervolume": value_or_null(run.searched_pareto.hypervolume),
        "search_hypervolume_held_out": value_or_null(held_out.value),
        "search_hypervolume_held_out_se": value_or_null(held_out.se),
        "optimism": value_or_null(run.optimism.value),
        "claims": claim_fields(run),
        "timing": dict(timing),
        **environment(),
    }
    with replacing(out / SUMMARY) as file:
        file.write(json.dumps(summary, indent=2) + "\n")
    write_html(run, steps=steps, effects=effects)


def _pictures(out: Path, name: str) -> list[Path]:
    return [out / f"{name}.{ending}" for ending in ("png", "svg")]


def _asked(run: StoredRun) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if run.pareto.constraints:
        asked |= {"constraints": run.config.constraints, "left_out": len(run.pareto.left_out)}
    if run.config.reference:
        asked["reference"] = run.config.reference
    return asked


def _trade(run: StoredRun) -> dict[str, Any]:
    test = run.trade_test()
    if test is None:
        return {}
    parts = {part.name: interval_fields(part.interval) | {"verdict": part.verdict} for part in test.parts}
    stopped = {"unclear_trade": why_unclear(test, run.tokens)} if run.stopping_test else {}
    return {"trade": {"clear": test.clear} | parts} | stopped


def _write_steps(steps: Sequence[Step], path: Path) -> None:
    with replacing(path) as file:
        writer = csv.writer(file)
        writer.writerow(["trials", "hypervolume", "held_out", "held_out_low", "held_out_high"])
        for step in steps:
            interval = Interval.normal(step.held_out)
            values = (step.hypervolume, interval.value, interval.low, interval.high)
            writer.writerow([step.trials, *("" if math.isnan(value) else value for value in values)])
