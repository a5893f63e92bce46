"""`item_text`: a row as people read it, whatever kind it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.scores.item_text import ItemText

if TYPE_CHECKING:
    from ama_ray.data.rows import Row

_GOLD = ("answer", "solution", "target", "pattern", "test")
"""Fields with what is right, the first one that is there."""


def item_text(row: Row) -> ItemText:
    """What a row of a probe asks, its choices, and what is right."""
    fields = row.fields
    if "prompts" in fields:
        choices, prompt = fields["prompts"], str(fields.get("continuation", ""))
    else:
        choices, prompt = fields.get("choices", ()), str(fields.get("prompt", fields.get("text", "")))
    choices = tuple(map(str, choices)) if isinstance(choices, list) else ()
    gold = fields.get("gold")
    if choices and isinstance(gold, int) and 0 <= gold < len(choices):
        return ItemText(prompt, choices[gold], choices)
    found = next((fields[name] for name in _GOLD if name in fields), "" if gold is None else gold)
    return ItemText(prompt, _listed(found), choices)


def _listed(value: Any) -> str:
    return " | ".join(map(_listed, value)) if isinstance(value, list) else str(value)
