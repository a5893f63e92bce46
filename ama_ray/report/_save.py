"""Writing a figure in the format that its name asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, path: Path | BinaryIO) -> None:
    """Writes SVG to a path that ends so, with text as text and the same bytes every time; else PNG."""
    from matplotlib import rc_context

    if not isinstance(path, Path) or path.suffix != ".svg":
        figure.savefig(path, format="png")
        return
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ama_ray"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
