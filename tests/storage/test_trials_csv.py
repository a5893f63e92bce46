from __future__ import annotations

import csv
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.scores.trial import STAGES, Estimate, ProbeResult, Scores, Trial
from ama_ray.storage.records import read_trials, write_trials

number = st.floats(allow_nan=False, allow_infinity=False)
GROUPS, PROBES = ("layers.0-3", "höhe", "score"), ("arc", "fr-en")
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


estimates = st.builds(Estimate, number, number | st.just(math.nan))
results = st.builds(ProbeResult, number, number, number, number)
OBJECTIVES = ("reward", "helpful", "tax")


def named(names: tuple[str, ...], each: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    # Not fixed_dictionaries, which shuffles.
    return st.tuples(*[each] * len(names)).map(lambda values: dict(zip(names, values, strict=True)))


splits = st.builds(Scores, named(OBJECTIVES, estimates), named(PROBES, results))


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    ratios = {group: draw(st.floats(0, 1)) for group in GROUPS}
    if draw(st.booleans()):
        return Trial(draw(st.integers(0)), "failed", "sampler", ratios, reason=draw(text))
    return Trial(
        draw(st.integers(0)),
        draw(st.sampled_from(["complete", "stopped"])),
        draw(st.sampled_from(["baseline", "warm start", "sampler", "twin"])),
        ratios,
        search=draw(st.none() | splits),
        report=draw(st.none() | splits),
        seconds={stage: draw(st.floats(0, 1e6)) for stage in STAGES[: draw(st.integers(0, len(STAGES)))]},
        tokens=draw(st.fixed_dictionaries({}, optional={"prompt": st.integers(0, 2**50)})),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(trials(), max_size=6))
def test_what_is_written_is_read(written: list[Trial]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trials.csv")
        write_trials(path, written)
        # repr, because NaN is not equal to itself.
        assert repr(read_trials(path)) == repr(written)


FAILED = Trial(0, "failed", "sampler", {"a": 0.5}, reason='engine died, "oom"\nat layer 3, naïve')
SCORES = Scores({"reward": Estimate(1.0, 0.1), "tax": Estimate(0.2, 0.1)}, {"arc": ProbeResult(0.5, 0.2, 0.1, 0.3)})
DONE = Trial(1, "complete", "sampler", {"a": 0.5}, SCORES)
REPORTED = replace(DONE, number=2, report=SCORES, tokens={"prompt": 7})


@pytest.mark.parametrize("written", [[FAILED, DONE], [FAILED, DONE, REPORTED]])
def test_trials_that_lack_columns_leave_them_in_order(tmp_path: Path, written: list[Trial]) -> None:
    write_trials(tmp_path / "trials.csv", written)
    with (tmp_path / "trials.csv").open(newline="", encoding="utf-8") as file:
        header, failed, *_ = list(csv.reader(file))
    assert header == [*written[-1].to_row(), "check"]
    assert failed[header.index("arc.score")] == failed[header.index("reward")] == ""
    assert read_trials(tmp_path / "trials.csv")[0].reason == FAILED.reason


def test_pandas_reads_the_same(tmp_path: Path) -> None:
    write_trials(tmp_path / "trials.csv", [FAILED, DONE])
    frame = pd.read_csv(tmp_path / "trials.csv")
    assert frame["reward"].isna().tolist() == [True, False]
    assert frame["arc.tax"].tolist()[1] == 0.1


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trials.csv"
    write_trials(path, [DONE])

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_trials(path, [DONE, FAILED])
    assert len(read_trials(path)) == 1


HEADER = b"number,state,reason,origin,share,reward,check\r\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a,b\r\n1,2\r\n", "no whole header that ends in check"),
        (b"number,check", "no whole header that ends in check"),
        (HEADER + b"0,complete,,sampler,1,0.5,0123456789abcdef\r\n", "row 1 is not as it was written"),
        (b"\xff\xfe\x00", "not a readable CSV file"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "trials.csv").write_bytes(content)
    with pytest.raises(UserError, match=complaint):
        read_trials(tmp_path / "trials.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        read_trials(tmp_path / "trials.csv")


ROWS = [replace(FAILED, reason='engine died, "oom"\r\nat layer 3, naïve'), DONE, REPORTED]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "trials.csv"
    write_trials(path, ROWS)
    return path.read_bytes()


def readable(path: Path, content: bytes) -> list[Trial] | None:
    """The trials; None where the file is refused with one sentence."""
    path.write_bytes(content)
    try:
        return read_trials(path)
    except UserError as error:
        assert "\n" not in str(error)
        return None


def test_a_file_that_is_cut_off_at_any_byte_has_its_whole_rows_or_is_refused(tmp_path: Path, whole: bytes) -> None:
    counts = set()
    for end in range(len(whole)):
        found = readable(tmp_path / "trials.csv", whole[:end])
        if found is not None:
            assert repr(found) == repr(ROWS[: len(found)])
            counts.add(len(found))
    assert counts == {0, 1, 2}


def test_a_row_that_is_cut_off_is_told(tmp_path: Path, whole: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert readable(tmp_path / "trials.csv", whole[:-3]) == ROWS[:2]
    assert "its last row is cut off and left out" in caplog.text


def test_a_changed_byte_changes_no_trial(tmp_path: Path, whole: bytes) -> None:
    for place in range(len(whole)):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        found = readable(tmp_path / "trials.csv", changed)
        assert found is None or repr(found) == repr(ROWS[: len(found)])
        assert found is None or place >= len(whole) - 2  # the end of the last row
