"""`ItemText`: what an item asks, for people to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ItemText:
    """One item.

    Attributes:
        prompt: What is asked.
        gold: What is right; empty where nothing is, or where more than a text says it.
        choices: What there is to choose from, where that is what an answer is.
    """

    prompt: str
    gold: str = ""
    choices: tuple[str, ...] = ()
