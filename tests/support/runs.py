"""Made-up runs: a run file that names nothing that exists, with trials that never ran."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.api import Run
from ama_ray.config import RunConfig
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.storage.identity import write_identity
from ama_ray.storage.names import RUN, TRIALS
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import write_trials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.run import StoredRun
    from ama_ray.scores.trial import Trial

NOWHERE = Path("runs/none")
FIELDS: dict[str, Any] = {
    "base": "org/base",
    "aligned": "org/aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
    "tax": [{"kind": "choice", "name": "arc", "family": "reasoning", "file": "arc.jsonl"}],
}
OBJECTIVES = Objectives((RewardTerm("reward", "reward", 1.0, 0),), (ProbeTerm("arc", "reasoning", "mean"),))
"""Those of `FIELDS`."""
DIGESTS = {"study": "a", "base and aligned": "1", "the items of arc (search split)": "2", "/x/reward.py": "3"}

MakeRun = Callable[..., Path]
"""A fixture that writes the folder of a run."""


def config_of(out: Path = NOWHERE, /, **fields: Any) -> RunConfig:
    """A run file, with fields of `FIELDS` replaced or others added."""
    return RunConfig.from_arguments(**(FIELDS | {"out": out} | fields))


def run_of(
    trials: Sequence[Trial],
    folder: Path = NOWHERE,
    /,
    *,
    objectives: Objectives = OBJECTIVES,
    test_data: tuple[str, ...] = (),
    **fields: Any,
) -> Run:
    """A run with these trials, of which nothing is on disk; `fields` are those of its run file."""
    return Run(folder, config_of(folder, **fields), objectives, trials, test_data)


def in_folder(run: StoredRun, folder: Path) -> Run:
    """The same run in another folder."""
    config = run.config.model_copy(update={"out": folder})
    return Run(folder, config, run.objectives, run.trials, run.test_data, tokens=run.tokens)


def write_run(run: StoredRun, digests: Mapping[str, str] = DIGESTS) -> Path:
    """Writes what a search leaves of a run in its folder, but the report; returns the folder."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / RUN).write_text(run.config.to_yaml())
    write_identity(run.folder, "study", digests)
    ObjectivesFile.of(run.objectives, run.test_data, run.tokens).write(run.folder)
    write_trials(run.folder / TRIALS, run.trials)
    return run.folder
