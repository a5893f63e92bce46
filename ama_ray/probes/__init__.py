"""Probes: benchmarks turned into requests to the engine, and its answers into statistics per item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray import sources
from ama_ray.probes.choice import ChoiceItems
from ama_ray.probes.generated import ExactItems
from ama_ray.probes.prepared import PreparedProbe
from ama_ray.prompting import Prompting

if TYPE_CHECKING:
    from ama_ray.config import Probe
    from ama_ray.prompting import Tokenizer

__all__ = ["PreparedProbe", "metric", "name_and_family", "prepare"]


def prepare(probe: Probe, tokenizer: Tokenizer, share: float) -> tuple[PreparedProbe, PreparedProbe]:
    """Reads, checks and tokenises a probe; done once per run.

    Args:
        probe: Of the run file.
        tokenizer: Of the pair.
        share: Of the items that go to the report split, where one file has both (0-1).

    Returns:
        The probe on the search split and on the report split.

    Raises:
        UserError: Its file is missing, empty or malformed; names file, line and field.
    """
    halves = sources.load(probe, share)
    prompting = Prompting(tokenizer, probe.chat)
    kind = ChoiceItems if probe.kind == "choice" else ExactItems
    search, report = (kind.build(probe.name, probe, rows, prompting) for rows in (halves.search, halves.report))
    return search, report


def metric(probe: Probe) -> str:
    """The name of a probe's metric in `ama_ray.metrics.METRICS`."""
    return "mean"


def name_and_family(probe: Probe) -> tuple[str, str]:
    """What a probe is called and which family it belongs to."""
    return probe.name, probe.family
