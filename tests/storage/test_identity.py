"""`identity.json`, `objectives.json` and `summary.json`: whole, or said to be damaged or of another version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from ama_ray.storage.identity import checksums, known_identity, read_identity, write_identity
from ama_ray.storage.names import IDENTITY, OBJECTIVES, SUMMARY
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.run_folder import finished
from tests.support.hostile import one_sentence
from tests.support.runs import run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert known_identity(tmp_path) == {}
    write_identity(tmp_path, "mine-1", {"base and aligned": "ab"})
    assert read_identity(tmp_path) == {"study": "mine-1", "base and aligned": "ab"}
    assert checksums(read_identity(tmp_path)) == {"base and aligned": "ab"}


@pytest.mark.parametrize("version", [None, "0", "2", "9" * 1000])
def test_a_folder_of_another_version_is_refused_before_anything_in_it_is_read(
    tmp_path: Path, version: str | None
) -> None:
    run = write_run(run_of(five_trials(), tmp_path / "run"))
    (run / IDENTITY).write_text(json.dumps({"study": "s"} | ({"format": version} if version else {})))
    (run / OBJECTIVES).write_text("[]")
    with one_sentence(IDENTITY, "of the format", "reads '1'", "the version that made it"):
        StoredRun.open(run)


@pytest.mark.parametrize("text", ["", "[]", '"a"', "{}", '{"format": "1"}', '{"format": "1", "study": 1}', "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / IDENTITY).write_text(text, "latin-1")
    with pytest.raises(UserError, match=IDENTITY):
        read_identity(tmp_path)


def test_files_that_are_cut_off_at_any_byte_are_whole_or_damaged(tmp_path: Path) -> None:
    run = write_run(run_of(five_trials(), tmp_path / "run"))
    write_identity(run, "mine", {"base and aligned": "ab" * 20})
    identity, objectives = (run / IDENTITY).read_bytes(), (run / OBJECTIVES).read_bytes()
    known, terms = read_identity(run), ObjectivesFile.read(run)
    for name, content in {IDENTITY: identity, OBJECTIVES: objectives}.items():
        for end in range(len(content)):
            (run / name).write_bytes(content[:end])
            try:
                assert (read_identity(run), ObjectivesFile.read(run)) == (known, terms)
                assert end == len(content) - 1  # but for the end of the last line
            except UserError as error:
                assert name in str(error)
                assert "\n" not in str(error)
        (run / name).write_bytes(content)


def test_a_summary_that_is_cut_off_never_says_that_a_run_has_finished(tmp_path: Path) -> None:
    config = RunConfig.load(ROOT / "run.yaml")
    content = json.dumps({"ended": "", "interrupted": False, "trials": config.trials, "machine": {"cpu": "x"}}).encode()
    (tmp_path / SUMMARY).write_bytes(content)
    assert finished(tmp_path, config.trials, config)
    for end in range(len(content)):
        (tmp_path / SUMMARY).write_bytes(content[:end])
        assert not finished(tmp_path, config.trials, config)
