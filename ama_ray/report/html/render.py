"""Writing `report.html`: one page that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING

from ama_ray.report.html.page import page
from ama_ray.report.html.provenance import provenance
from ama_ray.report.notes import front_volume, uniform_volume
from ama_ray.report.text.summary import sentence
from ama_ray.storage.files import replacing
from ama_ray.storage.names import REPORT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.analysis.convergence import Step
    from ama_ray.analysis.importance import Importance
    from ama_ray.run import StoredRun

_SCRIPTS = ("draw.js", "front.js", "lines.js", "point.js", "main.js")


def write_html(
    run: StoredRun,
    out: Path | None = None,
    *,
    steps: Sequence[Step] | None = None,
    effects: Sequence[Importance] | None = None,
) -> Path:
    """Writes the page of a run.

    Args:
        run: The run.
        out: The file; default: `report.html` in the folder.
        steps: Of the search, where they are known already.
        effects: Of its groups, likewise.

    Returns:
        The file.
    """
    from jinja2 import Environment

    out = out or run.folder / REPORT
    shown = page(run, run.convergence() if steps is None else steps, effects)
    script = f"'use strict';\n(() => {{\n{''.join(map(_part, _SCRIPTS))}}})();\n"
    text = (
        Environment(autoescape=True)
        .from_string(_part("page.html.j2"))
        .render(
            page=shown,
            pareto=run.pareto,
            searched=len(run.searched),
            claims=run.claims,
            front_volume=front_volume(run),
            uniform_volume=uniform_volume(run),
            title=run.config.out.name,
            sentence=sentence(run),
            sections=provenance(run),
            run_file=run.config.to_yaml(),
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
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _embedded(data: object) -> str:
    """JSON for a script element: replies may hold `</script>` or `<!--`, which would end or swallow it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
