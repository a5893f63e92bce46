"""Writing a point of a run, and what is known of it, as a checkpoint."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.export.merge_file import Found, Scored
from ama_ray.files import known_json
from ama_ray.report.named import best_uniform, replies_per_prompt, split_note, used_test_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.pareto import ParetoSet
    from ama_ray.trial import Trial


def export_point(pareto: ParetoSet, point: Trial | int | str, out: Path) -> Path:
    """Writes the averaged checkpoint of a trial; see `ParetoSet.export`."""
    trial = pareto.point(point) if isinstance(point, int | str) else point
    if trial.state == "failed":
        raise UserError(f"Trial {trial.number} failed ({trial.reason}); export one that is complete.")
    if pareto.config is None:
        raise UserError("This Pareto set does not know its pair; open it with ParetoSet.open(run folder).")
    from ama_ray.export.write import recipe, write
    from ama_ray.run_pair import open_pair
    from ama_ray.space import SearchSpace

    sources = pareto.config.base, pareto.config.aligned
    pair = open_pair(pareto.config)
    groups = SearchSpace.load(pareto.config.space).resolve(pair.names)
    write(pair, recipe(pair, sources, groups, trial.ratios, found(pareto, trial)), out)
    return out


def found(pareto: ParetoSet, trial: Trial) -> Found:
    """How the ratios of a trial were found, and what they scored.

    On the report split where the trial was scored there, and else on the search split.
    """
    if not trial.seen_on(pareto.split).scores:
        pareto = pareto.search_split
    trial = trial.seen_on(pareto.split)
    folder = pareto.config.out if pareto.config else Path()
    summary, identity = known_json(folder / "summary.json"), known_json(folder / "identity.json")
    return Found(
        trial=trial.number,
        origin=trial.origin,
        split=pareto.split,
        scores=tuple(Scored.of(name, each.objectives, each.probes) for name, each in _shown(pareto, trial).items()),
        notes=tuple(_notes(pareto, trial)),
        search=dict(_search(pareto)),
        versions={name: str(number) for name, number in summary.get("versions", {}).items()},
        # Scorers go by their paths, which are of no use elsewhere.
        digests={PurePath(name).name: str(digest) for name, digest in identity.items() if name != "study"},
    )


def _shown(pareto: ParetoSet, trial: Trial) -> dict[str, Trial]:
    """The trial, then what to compare it with: base, aligned, and the best uniform point for no more tax."""
    ends = {each.uniform_ratio: each for each in pareto.uniform}
    best = best_uniform(pareto, trial)
    rivals = {"base": ends.get(0.0), "aligned": ends.get(1.0)}
    if best is not None and best.uniform_ratio not in (0.0, 1.0):
        rivals[f"best uniform (ratio {best.uniform_ratio:g})"] = best
    others = {name: each for name, each in rivals.items() if each is not None and each.number != trial.number}
    return {"this merge": trial, **others}


def _notes(pareto: ParetoSet, trial: Trial) -> Iterator[str]:
    yield split_note(pareto)
    if pareto.split == "report" and any(each.number == trial.number for each in pareto.front):
        yield "Which points are on the front was decided by these numbers, so they still flatter it a little."
    if trial.share < 1:
        yield f"The search stopped this trial: it was scored on {trial.share:.0%} of the items of the search split."
    if used := used_test_data(pareto):
        yield used


def _search(pareto: ParetoSet) -> Iterator[tuple[str, str]]:
    config = pareto.config
    if config is None:
        return
    yield "search space", PurePath(config.space).stem if isinstance(config.space, str) else "of the run file"
    yield "sampler", str(config.sampler)
    yield "seed", str(config.seed)
    yield "trials", str(len(pareto.searched))
    yield "replies per prompt", replies_per_prompt(config)
