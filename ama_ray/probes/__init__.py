"""Probes: benchmarks turned into requests to the engine, and its answers into a score per item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.config import ChoiceProbe
from ama_ray.probes.choice import ChoiceItems
from ama_ray.probes.exact import ExactItems

if TYPE_CHECKING:
    from ama_ray.config import Probe
    from ama_ray.tokens import Tokenizer

PreparedProbe = ChoiceItems | ExactItems
"""A probe, read, checked and tokenised."""

__all__ = ["ChoiceItems", "ExactItems", "PreparedProbe", "prepare"]


def prepare(probe: Probe, tokenizer: Tokenizer) -> PreparedProbe:
    """Reads, checks and tokenises a probe; done once per run.

    Raises:
        UserError: Its file is missing, empty or malformed; names file, row and field.
    """
    if isinstance(probe, ChoiceProbe):
        return ChoiceItems.read(probe, tokenizer)
    return ExactItems.read(probe, tokenizer)
