"""Does stopping hopeless trials early pay, and does it cost anything? Searches on the miniature with and without it.

    python -m benchmarks.front.stopping --seeds 3 --trials 60

Prints, per seed, the share of the search's evaluation work (items scored) that was saved, and the normalised
hypervolume of the front with and without early stopping, on the search split and on the report split.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

import ama_ray
from ama_ray.miniature import ROOT


def main(seeds: int = 3, trials: int = 60, space: str = "per-layer", aligned: str = "rsf") -> None:
    """Runs two searches per seed and prints a table and a JSON object."""
    rows = []
    for seed in range(seeds):
        with_stopping, whole = (
            _summary(early_stopping=early, seed=seed, trials=trials, space=space, aligned=str(ROOT / aligned))
            for early in (True, False)
        )
        row = {"seed": seed, "stopped": with_stopping["stopped"], "saved": 1 - with_stopping["evaluated"]}
        for split, key in (("search", "search_hypervolume"), ("report", "hypervolume")):
            row |= {split: with_stopping[key], f"{split}, whole": whole[key]}
        rows.append(row)
    table = Table(title=f"miniature, base to {aligned}, {space}, {trials} trials")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in [*rows, {column: sum(row[column] for row in rows) / len(rows) for column in rows[0]} | {"seed": "mean"}]:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    print(json.dumps(rows))


def _summary(**fields: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        ama_ray.search(ROOT / "run.yaml", out=out, **fields)
        summary: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return summary


if __name__ == "__main__":
    typer.run(main)
