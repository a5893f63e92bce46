"""A real autoscaler: nodes come for a search, a lost one is replaced, they go. Also `benchmarks.faults autoscaler`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testing.autoscaler import scale
from testing.outcome import outcome
from testing.search_process import ORDERLESS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_nodes_come_for_a_search_are_replaced_and_go(tmp_path: Path) -> None:
    run = scale(tmp_path / "run", trials=8, report={"points": 1}, **ORDERLESS)
    row = outcome(run, run)
    assert row["finished before"] > 2
    assert {name: row[name] for name in ("finished", "failed", "lost", "doubled")} == {
        "finished": 8,
        "failed": 0,
        "lost": 0,
        "doubled": 0,
    }
