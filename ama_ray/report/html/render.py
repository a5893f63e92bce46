"""Writing `report.html`, and `items.html` beside it: pages that need no network."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ama_ray.report.html.headline import headline
from ama_ray.report.html.items import items_of
from ama_ray.report.html.page import page
from ama_ray.report.html.provenance import provenance
from ama_ray.report.notes import front_volume, uniform_volume
from ama_ray.report.text.summary import sentence
from ama_ray.storage.files import replacing
from ama_ray.storage.names import ITEMS_PAGE, REPORT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.analysis.convergence import Step
    from ama_ray.analysis.importance import Importance
    from ama_ray.run import StoredRun

_SCRIPTS = ("draw.js", "front.js", "lines.js", "point.js", "main.js")
_ITEM_SCRIPTS = ("draw.js", "items.js")


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
    out = out or run.folder / REPORT
    shown = page(run, run.convergence() if steps is None else steps, effects)
    items, title = items_of(run), run.config.out.name
    if items:
        _write(
            out.with_name(ITEMS_PAGE), "items.html.j2", _ITEM_SCRIPTS, items, title=run.config.out.name, about="items"
        )
    _write(
        out,
        "page.html.j2",
        _SCRIPTS,
        shown.to_json(),
        title=title,
        about="reward against alignment tax",
        page=shown,
        pareto=run.pareto,
        searched=len(run.searched),
        claims=run.claims,
        front_volume=front_volume(run),
        uniform_volume=uniform_volume(run),
        headline=headline(run),
        sentence=sentence(run),
        sections=provenance(run),
        run_file=run.config.to_yaml(),
        items=items,
    )
    return out


def _write(out: Path, template: str, scripts: Sequence[str], data: object, **shown: Any) -> None:
    from jinja2 import Environment, FunctionLoader

    script = f"'use strict';\n(() => {{\n{''.join(map(_part, scripts))}}})();\n"
    text = (
        Environment(autoescape=True, loader=FunctionLoader(_part))
        .get_template(template)
        .render(
            **shown,
            style=_part("report.css"),
            script=script,
            digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            data=_embedded(data),
        )
    )
    with replacing(out) as file:
        file.write(text)


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _embedded(data: object) -> str:
    """JSON for a script element: replies may hold `</script>` or `<!--`, which would end or swallow it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
