"""`objectives.json` comes back as it was, or is refused in one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.errors import UserError
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm
from ama_ray.storage.objectives_file import ObjectivesFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OBJECTIVES = Objectives(
    (RewardTerm("kind", "helpful", 1.0, 0), RewardTerm("short", "helpful", -0.5, 0), RewardTerm("s é", "safe", 2.0, 1)),
    (ProbeTerm("facts", "knowledge", "mean"), ProbeTerm("text", "language", "perplexity")),
)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    ObjectivesFile.of(OBJECTIVES, ("facts",)).write(tmp_path)
    found = ObjectivesFile.read(tmp_path)
    assert found.objectives == OBJECTIVES
    assert found.test_data == ("facts",)
    assert [path.name for path in tmp_path.iterdir()] == ["objectives.json"]
    ObjectivesFile.of(OBJECTIVES).write(tmp_path)
    assert ObjectivesFile.read(tmp_path).test_data == ()


def test_without_it_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"objectives\.json: missing; a search writes it when it starts\."):
        ObjectivesFile.read(tmp_path)
    (tmp_path / "objectives.json").mkdir()
    with pytest.raises(UserError, match=r"objectives\.json: cannot be read"):
        ObjectivesFile.read(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda fields: fields["probes"][0].update(metric="vibes"), r"probes\.0\.metric: there is no metric 'vibes'"),
        (lambda fields: fields["rewards"][1].pop("weight"), r"rewards\.1\.weight: this field is missing"),
        (lambda fields: fields["rewards"][1].update(weight="much"), r"rewards\.1\.weight: "),
        (lambda fields: fields.update(rewards=[]), r"rewards: "),
        (lambda fields: fields.pop("probes"), r"probes: this field is missing"),
        (lambda fields: fields.update(code="import os"), r"code: "),
    ],
)
def test_a_damaged_one_is_refused_and_what_is_off_is_named(
    spoil: Callable[[dict[str, Any]], object], words: str, tmp_path: Path
) -> None:
    ObjectivesFile.of(OBJECTIVES).write(tmp_path)
    file = tmp_path / "objectives.json"
    fields = json.loads(file.read_text())
    spoil(fields)
    file.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=rf"objectives\.json: damaged \({words}"):
        ObjectivesFile.read(tmp_path)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"null", b"\xff\xfe"])
def test_what_is_no_such_file_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "objectives.json").write_bytes(text)
    with pytest.raises(UserError, match=r"objectives\.json: (damaged|cannot be read)") as refused:
        ObjectivesFile.read(tmp_path)
    assert "\n" not in str(refused.value)
