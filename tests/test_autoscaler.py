"""A real autoscaler: nodes come for a search, a lost one is replaced, and they go. Also `benchmarks.faults autoscaler`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ama_ray.miniature import ROOT
from benchmarks.fault_autoscaler import scale
from benchmarks.fault_outcome import outcome
from benchmarks.fault_run import ORDERLESS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_nodes_come_for_a_search_are_replaced_and_go(tmp_path: Path) -> None:
    data = {"file": str(ROOT / "data/search/prompts.jsonl"), "report_file": str(ROOT / "data/report/prompts.jsonl")}
    # Shorter trials than the miniature's own.
    sampling = {"max_tokens": 12, "temperature": 1.0, "n": 1}
    reward = {"kind": "function", "prompts": data, "scorer": f"{ROOT / 'reward.py'}:score", "sampling": sampling}
    run = scale(tmp_path / "run", reward=reward, trials=8, report={"points": 1}, **ORDERLESS)
    row = outcome(run, run)
    assert row["finished before"] > 2
    assert {name: row[name] for name in ("finished", "failed", "lost", "doubled")} == {
        "finished": 8,
        "failed": 0,
        "lost": 0,
        "doubled": 0,
    }
