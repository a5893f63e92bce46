"""`ama-ray export` and `verify` for programs: one JSON object each."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray import export as exporting
from ama_ray.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.runs import MakeRun


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str]]:
    def command(*arguments: object) -> tuple[Any, str]:
        """What a command that succeeds prints as JSON, and what it says besides."""
        monkeypatch.setattr("sys.argv", ["ama-ray", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as ended:
            app()
        out, err = capsys.readouterr()
        assert not ended.value.code, err
        return json.loads(out), err

    return command


def test_an_export_and_its_check_are_told_to_programs(
    make_export_run: MakeRun, tmp_path: Path, printed: Callable[..., tuple[Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, merged, again = make_export_run(), tmp_path / "merged", tmp_path / "again"
    told, _ = printed("export", run, "--point", 3, "-o", merged)
    assert told == {"folder": str(merged), "hub": None}
    monkeypatch.setattr(exporting, "push", lambda folder, repo_id, *, private: f"https://hub/{repo_id}")
    told, _ = printed("export", "--from", merged / "merge.json", "-o", again, "--push", "me/merged")
    assert told == {"folder": str(again), "hub": "https://hub/me/merged"}
    files = len([path for path in merged.iterdir() if path.name not in ("merge.json", "README.md")])
    told, said = printed("verify", merged)
    assert told == {"folder": str(merged), "files": files, "parents": True}
    assert "base and aligned give the same files" in said
    shutil.move(tmp_path / "pair", tmp_path / "elsewhere")
    told, said = printed("verify", merged)
    assert told == {"folder": str(merged), "files": files, "parents": None}
    assert "give --base" in said
