"""The entry point: how an error is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command


@pytest.mark.parametrize("notes", [(), ("The log of the run is runs/a/log.txt.",)])
def test_an_error_is_one_line_and_that_of_a_run_names_its_log(
    notes: tuple[str, ...], run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        error = UserError("judge: away.")
        for note in notes:
            error.add_note(note)
        raise error

    monkeypatch.setattr("ama_ray.run.StoredRun.open", fail)
    monkeypatch.setattr("ama_ray.api.Run.open", fail)
    ended = run("show", tmp_path)
    assert ended.code == 2
    assert ended.err == " ".join(["error: judge: away.", *notes]) + "\n"
