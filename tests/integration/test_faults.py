"""A real search whose engine and driver are killed, and which goes on. All faults: `python -m benchmarks.faults`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ama_ray.cli.main import app
from testing.outcome import outcome
from testing.search_process import FaultRun
from tests.support.small_runs import ONE_ENGINE, fewer_items

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]  # three starts, each of minutes on a busy machine


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FaultRun]:
    fields = {"trials": 8, "report": {"points": 3}, "sampler": "random", "engine": ONE_ENGINE}
    items = fewer_items(tmp_path / "data", 60, 60)
    with closing(FaultRun(tmp_path / "run", fields | items)) as made:
        yield made


def test_nothing_finished_is_lost_and_nothing_is_doubled(
    run: FaultRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run.start()
    run.wait_for_results(2)
    printed = len(run.log)
    run.inject(run.engines()[0].kill)
    run.time_retry(printed)
    run.inject(run.kill)

    run.start()
    run.wait_for_results(1)
    monkeypatch.setattr("sys.argv", ["ama-ray", "search", str(run.folder / "run.yaml")])
    with pytest.raises(SystemExit) as second:
        app()
    assert second.value.code == 2
    assert (
        f"another process is searching there (process {run.process and run.process.pid} on " in capsys.readouterr().err
    )

    run.finish()
    row = outcome(run, run)
    assert row["finished before"] > 2
    assert {name: row[name] for name in ("finished", "failed", "lost", "doubled")} == {
        "finished": 8,
        "failed": 0,
        "lost": 0,
        "doubled": 0,
    }

    run.start()
    run.finish()
    assert "this run has finished; raise `trials` to go on" in run.log
