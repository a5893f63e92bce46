"""How good is the front, and what does the orchestration cost? Real searches on the miniature, one per seed.

    python -m benchmarks.front.front --seeds 3 --trials 60

Prints, per seed, the normalised hypervolume of the uniform front and of the search's front, the share of the uniform
front's gap to 1 that the search closes, and the share of the wall time that went to anything but swap, generation,
scoring and engine start.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

import ama_ray
from ama_ray.miniature import ROOT


def main(seeds: int = 3, trials: int = 60, space: str = "per-layer", aligned: str = "rsf") -> None:
    """Runs one search per seed and prints a table and a JSON object."""
    rows = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            ama_ray.search(
                ROOT / "run.yaml", seed=seed, trials=trials, space=space, aligned=str(ROOT / aligned), out=out
            )
            summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        front, uniform = summary["hypervolume"], summary["uniform_hypervolume"]
        rows.append(
            {
                "seed": seed,
                "uniform": uniform,
                "search": front,
                "gap_closed": (front - uniform) / (1 - uniform),
                "wall_seconds": summary["timing"]["wall"],
                "orchestration": summary["timing"]["orchestration"],
            }
        )
    table = Table(title=f"miniature, base to {aligned}, {space}, {trials} trials")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(str(value) if isinstance(value, int) else f"{value:.3f}" for value in row.values()))
    Console().print(table)
    print(json.dumps(rows))


if __name__ == "__main__":
    typer.run(main)
