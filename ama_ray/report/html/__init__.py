"""`report.html`: a run as one page that needs nothing else, for people without a terminal."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING

from ama_ray.files import replacing
from ama_ray.report.html.data import page
from ama_ray.report.html.provenance import environment, provenance
from ama_ray.report.sentence import sentence
from ama_ray.report.steps import convergence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.convergence import Step
    from ama_ray.pareto import ParetoSet
    from ama_ray.report.html.importance import Importance

__all__ = ["environment", "write_html"]

NAME = "report.html"
_SCRIPTS = ("draw.js", "front.js", "lines.js", "point.js", "main.js")


def write_html(
    pareto: ParetoSet,
    folder: Path,
    out: Path | None = None,
    *,
    steps: Sequence[Step] | None = None,
    effects: Sequence[Importance] | None = None,
) -> Path:
    """Writes the page of a run.

    Args:
        pareto: The run.
        folder: Its folder: where replies, checksums and the summary are, and what the export command names.
        out: The file; default: `report.html` in the folder.
        steps: Of the search, where they are known already.
        effects: Of its groups, likewise.

    Returns:
        The file.
    """
    from jinja2 import Environment

    from ama_ray import __name__ as product

    out = out or folder / NAME
    shown = page(pareto, folder, convergence(pareto, folder) if steps is None else steps, effects)
    script = f"'use strict';\n(() => {{\n{''.join(map(_part, _SCRIPTS))}}})();\n"
    text = (
        Environment(autoescape=True)
        .from_string(_part("page.html.j2"))
        .render(
            product=product,
            page=shown,
            pareto=pareto,
            title=pareto.config.out.name if pareto.config else folder.resolve().name,
            sentence=sentence(pareto),
            sections=provenance(pareto, folder),
            run_file=pareto.config.to_yaml() if pareto.config else "",
            style=_part("report.css"),
            script=script,
            digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            data=_embedded(shown.to_json()),
        )
    )
    with replacing(out) as file:
        file.write(text)
    return out


def _part(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _embedded(data: object) -> str:
    """JSON for a script element: replies may hold `</script>` or `<!--`, which would end or swallow it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
