"""A journal that was changed, doubled, or is of another run: refused with the reason; `trials.csv` is the truth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.scores.trial import Trial
from ama_ray.space.parametrization import parametrization
from ama_ray.storage.names import JOURNAL
from ama_ray.storage.run_folder import RunFolder
from ama_ray.tuning.study import open_study, place
from ama_ray.tuning.study_check import CLOSE, check_study
from ama_ray.tuning.suggester import StudySuggester
from ama_ray.tuning.warm_start import FirstPoint
from tests.support.hostile import ODD, one_sentence, put, within
from tests.support.suggestions import RANGES, objectives, result, suggest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.tuning.trial_records import TrialSpec

NAMES, SHAPE = ("reward", "tax"), parametrization(RANGES, None)
FIRST = [FirstPoint("baseline", dict.fromkeys(RANGES, ratio)) for ratio in (0.0, 1.0)]


def opened(folder: Path, trials: Sequence[Trial], name: str = "mine", storage: str | None = None) -> optuna.Study:
    """The study, as a search opens it."""
    run = RunFolder(folder, name, tuple(trials))
    study = open_study(run, storage, NAMES, optuna.samplers.RandomSampler(seed=0))
    check_study(study, place(run, storage), trials, NAMES, SHAPE)
    return study


def searched(folder: Path, name: str = "mine") -> list[Trial]:
    """Six trials of a run, the last of which is under way and so in the study alone."""
    asked = StudySuggester(SHAPE, objectives("reward"), opened(folder, (), name), FIRST)
    specs: list[TrialSpec] = [suggest(asked) for _ in range(6)]
    told = [result(reward=sum(spec.ratios.values()), tax=spec.ratios["head"] / 7) for spec in specs[:5]]
    for spec, scores in zip(specs, told, strict=False):
        asked.tell(spec, scores)
    return [
        Trial(spec.number, "complete", spec.origin, spec.ratios, each) for spec, each in zip(specs, told, strict=False)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Trial], bytes]:
    folder = tmp_path_factory.mktemp("run")
    trials = searched(folder)
    return folder, trials, (folder / JOURNAL).read_bytes()


def with_journal(run: tuple[Path, list[Trial], bytes], content: bytes) -> optuna.Study:
    folder, trials, _ = run
    (folder / JOURNAL).write_bytes(content)
    return opened(folder, trials)


def known(study: optuna.Study) -> set[tuple[int, tuple[float, ...], tuple[float, ...]]]:
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    return {
        (each.user_attrs["number"], tuple(each.user_attrs["ratios"].values()), tuple(each.values)) for each in complete
    }


def test_its_own_journal_is_opened(run: tuple[Path, list[Trial], bytes]) -> None:
    study = with_journal(run, run[2])
    assert len(known(study)) == 5
    assert len(study.get_trials()) == 6


def test_a_journal_that_is_there_twice_is_refused(run: tuple[Path, list[Trial], bytes]) -> None:
    with one_sentence(JOURNAL, "is there twice", "trials.csv"):
        with_journal(run, run[2] * 2)


def test_a_part_of_a_journal_that_is_there_twice_is_refused(run: tuple[Path, list[Trial], bytes]) -> None:
    lines = run[2].splitlines(keepends=True)
    with one_sentence(JOURNAL, "is there twice"):
        with_journal(run, b"".join([*lines, *lines[len(lines) // 2 :]]))


def test_the_journal_of_another_run_is_refused(run: tuple[Path, list[Trial], bytes], tmp_path: Path) -> None:
    searched(tmp_path, "other")
    with one_sentence(JOURNAL, "of another run (other)", "this one is mine"):
        with_journal(run, (tmp_path / JOURNAL).read_bytes())


def test_another_study_of_the_same_name_is_refused(run: tuple[Path, list[Trial], bytes], tmp_path: Path) -> None:
    asked = StudySuggester(SHAPE, objectives("reward"), opened(tmp_path, ()), ())
    for _ in range(3):
        asked.tell(suggest(asked), result(reward=1.0))
    with one_sentence(JOURNAL, "its trial 0 has other ratios than in trials.csv"):
        with_journal(run, (tmp_path / JOURNAL).read_bytes())


def test_a_study_of_other_objectives_is_refused(tmp_path: Path) -> None:
    open_study(RunFolder(tmp_path, "mine", ()), None, NAMES, optuna.samplers.RandomSampler())
    with one_sentence(JOURNAL, "other objectives"):
        open_study(RunFolder(tmp_path, "mine", ()), None, ("reward", "more", "tax"), optuna.samplers.RandomSampler())


def test_a_study_in_a_database_is_named_by_its_address(run: tuple[Path, list[Trial], bytes], tmp_path: Path) -> None:
    folder, trials, _ = run
    storage = f"sqlite:///{tmp_path}/studies.db"
    asked = StudySuggester(SHAPE, objectives("reward"), opened(folder, (), storage=storage), ())
    asked.tell(suggest(asked), result(reward=1.0))
    with one_sentence(f"storage: {storage}: the study was changed", "its trial 0 has other ratios"):
        opened(folder, trials, storage=storage)
    with one_sentence(f"storage: {storage}: the study mine has other objectives"):
        open_study(RunFolder(tmp_path, "mine", ()), storage, ("reward", "more"), optuna.samplers.RandomSampler())


def changed(content: bytes, field: str, value: object) -> bytes:
    """The journal with another value in the last line that has a field."""
    lines = [json.loads(line) for line in content.splitlines()]
    line = next(line for line in reversed(lines) if field in (line.get("user_attr") or line))
    (line.get("user_attr") or line)[field] = value
    return b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in lines)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("values", [0.5, 0.5], "scored otherwise"),
        ("values", [0.5, "x"], "has fields of other types"),
        ("values", [0.5, 10**400], "has fields of other types"),
        ("values", [0.5, 0.5, 0.5], "has fields of other types"),
        ("values", [], "has fields of other types"),
        ("values", "ab", "has fields of other types"),
        ("param_value_internal", "x", "has fields of other types"),
        ("param_value_internal", 10**400, "has fields of other types"),
        ("number", 2, "is there twice"),
        ("number", "2", "has no number"),
        ("number", [2], "has no number"),
        ("number", -1, "has no number"),
        ("origin", "nobody", "is of no known origin"),
        ("ratios", [1], "has no ratios"),
        ("ratios", {"embed": "x"}, "has no ratios"),
        ("ratios", {"embed": 10**400}, "has no ratios"),
        ("ratios", {"embed": 0.5}, "has other parameters than ratios"),
        ("param_value_internal", 0.123, "has other parameters than ratios"),
    ],
)
def test_a_changed_value_is_refused(
    run: tuple[Path, list[Trial], bytes], field: str, value: object, words: str
) -> None:
    with one_sentence(JOURNAL, words):
        with_journal(run, changed(run[2], field, value))


@pytest.mark.parametrize(
    "fields",
    [
        {"system_attrs": "ab"},
        {"system_attrs": {"fixed_params": "ab"}},
        {"system_attrs": {"fixed_params": {"head": "x"}}},
        {"user_attrs": "ab"},
        {"user_attrs": [1]},
        {"state": 1, "values": [1, 2], "user_attrs": 0.5},
    ],
)
def test_a_trial_of_other_types_is_refused(run: tuple[Path, list[Trial], bytes], fields: dict[str, object]) -> None:
    lines = [json.loads(line) for line in run[2].splitlines()]
    made = next(line for line in lines if "datetime_start" in line and "study_id" in line)
    more = {**made, "datetime_start": "2030-01-01T00:00:00.000001", **fields}
    content = run[2] + json.dumps(more, separators=(",", ":")).encode() + b"\n"
    with one_sentence(JOURNAL, "has fields of other types"):
        with_journal(run, content)


@pytest.mark.parametrize("kind", sorted(ODD.keys() - {"large"}))
def test_a_journal_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    put(tmp_path / JOURNAL, kind)
    with one_sentence(JOURNAL, "cannot be opened"):
        opened(tmp_path, ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_journal_is_refused_or_says_what_the_trials_say(
    run: tuple[Path, list[Trial], bytes], data: st.DataObject
) -> None:
    _, trials, sound = run
    start = data.draw(st.integers(0, len(sound) - 1))
    damaged = sound[:start] + data.draw(st.binary(max_size=2)) + sound[start + data.draw(st.integers(0, 2)) :]
    with within(20):
        try:
            study = with_journal(run, damaged)
        except UserError as error:
            assert "\n" not in str(error)
            return
    truth = {each.number: tuple(each.ratios.values()) for each in trials}
    for number, ratios, _ in known(study):
        assert ratios == pytest.approx(truth[number], rel=CLOSE, abs=CLOSE)
