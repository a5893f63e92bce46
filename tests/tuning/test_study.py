"""The study of a run, in a journal and in a real PostgreSQL server."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna.trial import TrialState

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.space.parametrization import parametrization
from ama_ray.storage.names import JOURNAL
from ama_ray.storage.run_folder import RunFolder
from ama_ray.tuning.study import open_study
from ama_ray.tuning.suggester import StudySuggester
from ama_ray.tuning.warm_start import FirstPoint
from testing.postgres import Postgres
from tests.support.suggestions import RANGES, finish, objectives, result, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


TWO = ("reward", "tax")


def sampler() -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=0)


def test_half_a_line_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "study", ())
    open_study(folder, None, TWO, sampler()).ask()
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole + b'{"op_code": 5, "wor')
    study = open_study(folder, None, TWO, sampler())
    study.ask()
    assert len(open_study(folder, None, TWO, sampler()).get_trials()) == 2


def test_a_search_whose_process_was_killed_after_any_line_of_its_journal_goes_on(tmp_path: Path) -> None:
    """As after a first point was put down for the sampler, and before it was asked for."""
    first = [FirstPoint("baseline", dict.fromkeys(RANGES, ratio)) for ratio in (0.0, 1.0, 0.5)]
    folder, shape = RunFolder(tmp_path, "study", ()), parametrization(RANGES, None)

    def taken_up() -> StudySuggester:
        return StudySuggester(shape, objectives("reward"), open_study(folder, None, TWO, sampler()), first)

    finish(taken_up(), 4)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    waited = 0
    for end in range(len(lines)):
        (tmp_path / JOURNAL).write_bytes(b"".join(lines[:end]))
        known = [trial.state for trial in open_study(folder, None, TWO, sampler()).get_trials()]
        waited += TrialState.WAITING in known
        asked = taken_up()
        assert len(finish(asked, 5)) == 5
        assert {trial.state for trial in asked._study.get_trials()} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert waited


def test_a_line_that_a_full_disk_cut_short_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(RunFolder(tmp_path, "study", ()), None, TWO, sampler())
    study.ask()
    before = (tmp_path / JOURNAL).read_bytes()

    def cut_short(backend: Any, logs: Any) -> None:
        with (tmp_path / JOURNAL).open("ab") as file:
            file.write(b'{"op_code": 4, "wor')
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", cut_short)
        with pytest.raises(OSError, match="No space"):
            study.ask()
    assert (tmp_path / JOURNAL).read_bytes() == before
    study.ask()
    assert len(open_study(RunFolder(tmp_path, "study", ()), None, TWO, sampler()).get_trials()) == 2


def test_any_optuna_dashboard_can_open_the_journal(tmp_path: Path) -> None:
    study = open_study(RunFolder(tmp_path, "mine", ()), None, ("helpful", "reward", "tax"), sampler())
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / JOURNAL))
    (summary,) = optuna.get_all_study_summaries(optuna.storages.JournalStorage(backend))
    assert (summary.study_name, len(summary.directions)) == ("mine", 3)
    assert [each.name for each in study.directions] == ["MAXIMIZE", "MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["helpful", "reward", "tax"]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    pytest.importorskip("pgserver", reason="pgserver has no build for this Python")
    with Postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest.mark.engine
def test_a_search_goes_on_after_its_database_was_away(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ama_ray.storage.retry.FIRST_WAIT", 0.2)
    shape, kept, lines = parametrization(RANGES, None), objectives("reward"), []
    back = 0

    def tell(line: str) -> None:
        nonlocal back
        lines.append(line)
        if "trying again" in line and not back:
            back += 1
            postgres.start()

    def searcher() -> StudySuggester:
        study = open_study(RunFolder(tmp_path, "mine", ()), postgres.url, TWO, sampler())
        return StudySuggester(shape, kept, study, (), tell=tell)

    asked = searcher()
    finish(asked, 4)
    postgres.stop()
    finish(asked, 3)
    assert any("the study: cannot be written" in line for line in lines)
    suggest(asked)
    again = searcher()
    spec = suggest(again)
    assert spec.number == 7
    again.tell(spec, result(reward=1.0))
    stored = again._study.get_trials()
    complete = [each for each in stored if each.state == TrialState.COMPLETE]
    assert sorted(each.user_attrs["number"] for each in complete) == list(range(8))
    assert not [each for each in stored if not each.state.is_finished()]


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"postgresql:///none?host={tmp_path}"
    with pytest.raises(UserError, match=r"^storage: postgresql:///none.*: the study cannot be opened \(.*\)\.$"):
        open_study(RunFolder(tmp_path, "mine", ()), url, TWO, sampler())
    with pytest.raises(UserError, match="the study cannot be opened"):
        open_study(RunFolder(tmp_path, "mine", ()), "nosuch://host/name", TWO, sampler())


def test_a_password_does_not_get_into_a_run_file() -> None:
    with pytest.raises(UserError, match=r"storage: leave the password out, as run files are kept") as caught:
        RunConfig.load(ROOT / "run.yaml", storage="postgresql://me:secret@host/name")
    assert "secret" not in str(caught.value)
