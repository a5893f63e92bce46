"""What to do with a run that has ended: a few commands."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from ama_ray.storage.names import LOG, REPORT

if TYPE_CHECKING:
    from ama_ray.run import StoredRun


def shown_folder(run: StoredRun) -> str:
    """The folder as commands name it from here: relative where it is below."""
    where = os.path.relpath(run.folder)
    return str(run.folder) if where.startswith("..") else where


def next_steps(run: StoredRun) -> list[tuple[str, str]]:
    """Commands, and the file to open, each with what it is for.

    Args:
        run: It has ended. Where base and aligned did not differ beyond error, more items are next; where there is no
            front, its log; else its page, and its knee.
    """
    folder = shlex.quote(shown_folder(run))
    if run.stopping_test:
        return [(f"ama-ray plan {folder}", "how many items would show a difference")]
    if not run.pareto.front:
        return [(f"{folder}/{LOG}", "why trials failed")]
    page = (f"{folder}/{REPORT}", "everything, to open in a browser")
    more = (f"ama-ray extend {folder} --trials +{run.config.trials}", "go on searching")
    if run.pareto.no_trade:
        return [page, more]
    return [
        page,
        (f"ama-ray chat {folder} --point knee", "talk to the knee, and to the other points"),
        (f"ama-ray export {folder} --point knee -o merged", "write the knee as a checkpoint"),
        more,
    ]
