"""The folder of a run: who may write there, and which runs may be gone on with."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.scores.trial import Estimate, Scores, Trial
from ama_ray.storage.records import write_trials
from ama_ray.storage.run_folder import Resume, RunFolder, finished, has_ended, held

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def miniature() -> Inputs:
    return Inputs.open(RunConfig.load(ROOT / "run.yaml"))


@pytest.fixture
def inputs(miniature: Inputs, tmp_path: Path) -> Inputs:
    return changed(miniature, out=tmp_path / "run")


def changed(inputs: Inputs, **fields: Any) -> Inputs:
    config = RunConfig.from_arguments(**(inputs.config.model_dump() | fields))
    return replace(inputs, config=config)


def start(inputs: Inputs, resume: Resume) -> RunFolder:
    return RunFolder.start(inputs.config, inputs.digests, inputs.objectives, inputs.test_data, {}, resume=resume)


def begin(inputs: Inputs) -> RunFolder:
    with held(inputs.config.out):
        folder = start(inputs, "auto")
    scores = Scores({"reward": Estimate(1.5, 0.1), "tax": Estimate(0.2, 0.05)})
    write_trials(inputs.config.out / "trials.csv", [Trial(0, "complete", "baseline", {"a": 0.5}, scores)])
    return folder


def test_a_run_is_taken_up_with_its_trials_and_its_study(inputs: Inputs) -> None:
    before = begin(inputs)
    with held(inputs.config.out):
        again = start(inputs, "auto")
    assert before.trials == ()
    assert [trial.number for trial in again.trials] == [0]
    assert again.study == before.study
    assert start(inputs, "must").trials == again.trials


def test_a_run_that_ended_before_its_first_trial_keeps_its_study_unless_it_changes(inputs: Inputs) -> None:
    inputs.config.out.mkdir(parents=True)
    first = start(inputs, "auto")
    assert start(inputs, "auto").study == first.study
    other = start(changed(inputs, seed=1), "auto").study
    assert other != first.study
    assert start(changed(inputs, seed=1), "auto").study == other


@pytest.mark.parametrize(
    "fields",
    [
        {"trials": 99},
        {"sampler": "tpe", "warm_start": ["parts"], "early_stopping": False, "stop": {"patience": 9}},
        {"engine": {"dtype": "float32", "cpus": 2, "kv_cache_gib": 3}, "report": {"points": 4}},
        {"reference": {"tax": 0.3}},
    ],
)
def test_what_leaves_old_scores_as_they_are_may_change(inputs: Inputs, fields: dict[str, Any]) -> None:
    begin(inputs)
    more = changed(inputs, **fields)
    assert start(more, "auto").trials
    assert RunConfig.load(inputs.config.out / "run.yaml") == more.config


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seed": 1}, r"as these differ: seed \(was 0, is 1\);"),
        ({"engine": {"dtype": "bfloat16"}}, r"engine.dtype \(was float32, is bfloat16\)"),
        ({"aligned": str(ROOT / "dpo")}, r"aligned \(was .*rsf, is .*dpo\)"),
        ({"range": (0, 1.2)}, r"range.0 \(was None, is 0.0\); range.1 \(was None, is 1.2\)"),
        ({"report": {"share": 0.3}}, r"report.share \(was 0.5, is 0.3\)"),
        ({"constraints": {"tax": "<= 0.1"}}, "constraints.tax"),
        ({"space": "uniform"}, r"space \(was per-layer, is uniform\)"),
    ],
)
def test_what_makes_old_trials_incomparable_is_listed(inputs: Inputs, fields: dict[str, Any], sentence: str) -> None:
    begin(inputs)
    with pytest.raises(UserError, match=sentence) as caught:
        start(changed(inputs, **fields), "auto")
    assert str(inputs.config.out) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_pair_or_other_items_at_the_same_paths_are_noticed(inputs: Inputs) -> None:
    begin(inputs)
    other = replace(inputs.pair, checksum="other")
    with pytest.raises(UserError, match="as these differ: the contents of base and aligned"):
        start(replace(inputs, pair=other), "auto")
    search = inputs.evaluations["trade"]
    fewer = replace(search, probes=(replace(search.probes[0], requests=search.probes[0].requests[1:]),))
    items = {**inputs.evaluations, "trade": replace(fewer, probes=(*fewer.probes, *search.probes[1:]))}
    with pytest.raises(UserError, match=r"the contents of the items of facts \(search split\);"):
        start(replace(inputs, evaluations=items), "auto")


@pytest.mark.long
def test_digests_are_those_of_another_process(miniature: Inputs) -> None:
    ours = miniature.digests
    assert set(map(len, ours.values())) == {64}
    assert len(ours) == len(set(ours.values()))
    with multiprocessing.get_context("spawn").Pool(1, hash_seed) as pool:
        assert pool.apply(digests) == ours


def hash_seed() -> None:
    os.environ["PYTHONHASHSEED"] = "7"


def digests() -> dict[str, str]:
    return Inputs.open(RunConfig.load(ROOT / "run.yaml")).digests


def test_a_run_without_a_trial_may_be_changed_at_will(inputs: Inputs) -> None:
    begun = begin(inputs)
    (inputs.config.out / "trials.csv").unlink()
    other = start(changed(inputs, seed=3, space="uniform"), "auto")
    assert other.trials == ()
    assert other.study != begun.study


def test_never_and_must_say_what_is_in_the_way(inputs: Inputs) -> None:
    with held(inputs.config.out), pytest.raises(UserError, match="there is no run to go on with"):
        start(inputs, "must")
    begin(inputs)
    with pytest.raises(UserError, match="there is a run already; give `out` another folder"):
        start(inputs, "never")


@pytest.mark.long
def test_two_processes_do_not_share_a_folder_and_a_killed_one_leaves_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(str(tmp_path / "run"), theirs))
    process.start()
    assert ours.recv() == "held"
    with (
        pytest.raises(UserError, match=rf"another process is searching there \(process {process.pid} on "),
        held(tmp_path / "run"),
    ):
        pass
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with held(tmp_path / "run"):
        pass


def hold(path: str, connection: Any) -> None:
    with held(Path(path)):
        connection.send("held")
        connection.recv()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda out: (out / "identity.json").write_text("{"), "identity.json: damaged"),
        (lambda out: (out / "identity.json").write_text("[]"), "identity.json: damaged"),
        (lambda out: (out / "identity.json").unlink(), "identity.json: missing"),
        (lambda out: (out / "run.yaml").write_text("base: 1"), "run.yaml: there are "),
        (lambda out: (out / "trials.csv").write_text("number\n1\n"), "trials.csv: its first line is no whole header"),
    ],
)
def test_a_damaged_folder_is_named(inputs: Inputs, spoil: Callable[[Path], object], sentence: str) -> None:
    begin(inputs)
    spoil(inputs.config.out)
    with pytest.raises(UserError, match=sentence):
        start(inputs, "auto")


def test_a_run_has_finished_once_all_was_searched_and_reported(inputs: Inputs, tmp_path: Path) -> None:
    config = inputs.config

    def summary(**fields: Any) -> None:
        ended = {"trials": config.trials, "ended": "", "interrupted": False} | fields
        (tmp_path / "summary.json").write_text(json.dumps(ended))

    assert not finished(tmp_path, config.trials, config)
    summary()
    assert finished(tmp_path, config.trials, config)
    assert has_ended(tmp_path, config.trials)
    # It went on, and was killed before its report.
    assert not finished(tmp_path, config.trials + 1, config)
    assert not has_ended(tmp_path, config.trials + 1)
    summary(interrupted=True)
    assert not finished(tmp_path, config.trials, config)
    assert not has_ended(tmp_path, config.trials)
    summary(trials=20, ended="nothing was won")
    assert not finished(tmp_path, 20, config)
    spent = finished(tmp_path, 20, config, spent=True)
    assert spent == "this run has finished (nothing was won); raise `budget` to go on"
    patient = changed(inputs, stop={"patience": 9}).config
    assert finished(tmp_path, 20, patient) == "this run has finished (nothing was won); raise `trials` to go on"


def test_the_folder_that_ray_makes_for_a_job_may_differ(inputs: Inputs) -> None:
    job = "/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_{}/base"
    begin(changed(inputs, base=job.format("0a")))
    assert start(changed(inputs, base=job.format("1b")), "auto").trials
    with pytest.raises(UserError, match=r"these differ: base \(was base, is base-2\)"):
        start(changed(inputs, base=job.format("1b") + "-2"), "auto")


def test_a_file_system_without_locks_is_no_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: Any, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.raises(UserError, match=r"its file system takes no locks \(No locks available\)"),
        held(tmp_path / "run"),
    ):
        pass
