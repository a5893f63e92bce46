"""Writing a figure in the formats that names ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, *paths: Path | BinaryIO) -> None:
    """Writes SVG to a path that ends so, with text as text and the same bytes every time; else PNG."""
    from matplotlib import rc_context

    for path in paths:
        if not isinstance(path, Path) or path.suffix != ".svg":
            figure.savefig(path, format="png")
        else:
            with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ama_ray"}):
                figure.savefig(path, format="svg", metadata={"Date": None})
        # Where everything is, is known now, and finding it takes a third of the time.
        figure.set_layout_engine("none")
