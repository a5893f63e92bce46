"""Writing a point of a run, and what is known of it, as a checkpoint."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.export.merge_file import Found, ScoredPoint
from ama_ray.pareto import named_points
from ama_ray.pareto.named_points import best_uniform, knee
from ama_ray.report.formatting import replies_per_prompt
from ama_ray.report.notes import brackets, place, split_note, used_test_data
from ama_ray.report.text.summary import told_of_knee
from ama_ray.storage.files import known_json
from ama_ray.storage.identity import checksums, known_identity
from ama_ray.storage.names import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.run import StoredRun
    from ama_ray.scores.interval import Interval
    from ama_ray.scores.trial import Trial


def export_point(run: StoredRun, point: Trial | int | str, out: Path) -> Path:
    """Writes the averaged checkpoint of a trial; see `ama_ray.api.Run.export`."""
    trial = named_points.point(run.pareto, point) if isinstance(point, int | str) else point
    if trial.state == "failed":
        raise UserError(f"Trial {trial.number} failed ({trial.reason}); export one that is complete.")
    from ama_ray.export.write import recipe, write
    from ama_ray.space.search_space import SearchSpace
    from ama_ray.storage.identity import open_pair

    pair = open_pair(run.config)
    groups = pair.groups(SearchSpace.load(run.config.space), run.config.models)
    write(
        pair, recipe(pair, run.config.sources, groups, trial.ratios, found(run, trial), towers=run.config.towers), out
    )
    return out


def found(run: StoredRun, trial: Trial) -> Found:
    """How the ratios of a trial were found, and what they scored.

    On the report split where the trial was scored there, and else on the search split.
    """
    pareto = run.pareto if trial.seen_on(run.pareto.split).scores else run.searched_pareto
    trial = trial.seen_on(pareto.split)
    summary, identity = known_json(run.folder / SUMMARY), known_identity(run.folder)
    return Found(
        trial=trial.number,
        origin=trial.origin,
        split=pareto.split,
        scores=tuple(
            ScoredPoint.of(name, each.objectives, each.probes, _intervals(run, each))
            for name, each in _shown(pareto, trial).items()
        ),
        notes=tuple(filter(None, _notes(run, pareto, trial))),
        search=dict(_search(run)),
        versions={name: str(number) for name, number in summary.get("versions", {}).items()},
        # Scorers go by their paths, which are of no use elsewhere.
        digests={PurePath(name).name: digest for name, digest in checksums(identity).items()},
    )


def _shown(pareto: ParetoSet, trial: Trial) -> dict[str, Trial]:
    """The trial, then what to compare it with: base, aligned, and the best uniform point for no more tax."""
    ends = pareto.trade.ends
    best = best_uniform(pareto, trial)
    several = f", the best of {trial.models} in reward"
    rivals = {"base": ends.get("base"), f"aligned{several if trial.models > 1 else ''}": ends.get("aligned")}
    if best is not None and best.number not in [end.number for end in ends.values()]:
        called = f"uniform (ratio {best.uniform_ratio:g})" if best.models == 1 else f"of the baseline ({best.title})"
        rivals[f"best {called}"] = best
    others = {name: each for name, each in rivals.items() if each is not None and each.number != trial.number}
    return {"this merge": trial, **others}


def _intervals(run: StoredRun, trial: Trial) -> dict[str, Interval]:
    """The intervals of the scores of a trial; none where its items are not known, as of a stopped one."""
    items = run.items.read_if_whole(trial.split, trial.number)
    return run.objectives.intervals(items[trial.number]) if items else {}


def _notes(run: StoredRun, pareto: ParetoSet, trial: Trial) -> Iterator[str]:
    yield split_note(pareto)
    if pareto.split == "report" and any(each.number == trial.number for each in pareto.front):
        yield "Which points are on the front was decided by these numbers, so they still flatter it a little."
    top = knee(pareto)
    if top is not None and top.number == trial.number and pareto is run.pareto:
        yield told_of_knee(run)
        yield brackets(run)
    elif pareto is run.pareto:
        yield place(run, trial)
    if trial.share < 1:
        yield f"The search stopped this trial: it was scored on {trial.share:.0%} of the items of the search split."
    if used := used_test_data(run):
        yield used


def _search(run: StoredRun) -> Iterator[tuple[str, str]]:
    config = run.config
    yield "search space", PurePath(config.space).stem if isinstance(config.space, str) else "of the run file"
    yield "sampler", str(config.sampler)
    yield "seed", str(config.seed)
    yield "trials", str(len(run.searched))
    yield "replies per prompt", replies_per_prompt(config)
