"""Runs of the miniature that take little: fewer items, and one engine, for tests about the road of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from ama_ray.miniature import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ONE_ENGINE: dict[str, Any] = {"dtype": "float32", "cpus": 1.5}
"""One engine on a machine with two cores, as two take long to start; of one thread, as two of a tiny model wait for
each other most of the time."""


def fewer_items(folder: Path, search: int, report: int) -> dict[str, Any]:
    """Writes the first rows of every file of the miniature.

    Args:
        folder: Gets `search/NAME.jsonl` and `report/NAME.jsonl`.
        search: Rows of a file of the search split.
        report: Rows of a file of the report split.

    Returns:
        The fields `reward` and `tax` of a run file that names these files.
    """
    for split, rows in (("search", search), ("report", report)):
        (folder / split).mkdir(parents=True)
        for file in (ROOT / "data" / split).glob("*.jsonl"):
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            (folder / split / file.name).write_text("".join(lines[:rows]), encoding="utf-8")
    fields: dict[str, Any] = yaml.safe_load((ROOT / "run.yaml").read_text(encoding="utf-8"))
    fields["reward"]["scorer"] = f"{ROOT}/{fields['reward']['scorer']}"
    for files in (fields["reward"]["prompts"], *fields["tax"]):
        for key in ("file", "report_file"):
            files[key] = str(folder / files[key].removeprefix("data/"))
    return {name: fields[name] for name in ("reward", "tax")}
