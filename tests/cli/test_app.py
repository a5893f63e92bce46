"""The command line as a whole: help, completion, errors, and what a search prints."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ama_ray
from ama_ray.cli.output import event_fields, listener
from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.tuning.events import Message, StageStarted, StopRequested, TrialFinished, TrialStarted
from ama_ray.tuning.signals import Interrupted
from tests.support.runs import run_of
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from ama_ray.run import StoredRun
    from tests.support.command import Command
    from tests.support.runs import MakeRun

EVENTS = [
    StageStarted("starting Ray"),
    Message("sampler: random"),
    TrialStarted(4, "search"),
    TrialFinished(five_trials()[4], "trial 4 of 40", run_of(five_trials()).pareto, 2, 1, {"swap": 1.0}),
    StopRequested(),
]


def test_help_is_quick() -> None:
    start = time.perf_counter()
    command = [sys.executable, "-X", "importtime", "-m", "ama_ray.cli", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"ama-ray --help: {time.perf_counter() - start:.2f} s")
    imported = {line.rsplit("|", 1)[-1].strip() for line in ended.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "ray", "vllm", "transformers", "numpy", "pandas", "optuna"}


def test_the_version_is_told(run: Command) -> None:
    assert run("--version").out == f"ama-ray {ama_ray.__version__}\n"


def test_commands_are_in_groups_and_h_is_help(run: Command) -> None:
    shown = run("-h").out
    assert shown == run("--help").out
    places = [
        shown.index(f"─ {group} ─") for group in ("Search", "Look at a run", "Use a point", "Clusters and servers")
    ]
    assert places == sorted(places)
    assert "Usage" in run("show", "-h").out


def test_a_command_that_there_is_not_is_compared_with_those_there_are(run: Command) -> None:
    ended = run("chekc", "run.yaml")
    assert ended.code == 2
    assert "Did you mean 'check'" in ended.err


def test_completion_is_there() -> None:
    script = Path(sys.executable).parent / "ama-ray"
    # The shell is the process above.
    command = ["bash", "-c", f"{script} --show-completion; true"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "complete -o default -F _ama_ray_completion ama-ray" in shown


def test_debug_shows_where_an_error_comes_from(run: Command, tmp_path: Path) -> None:
    plain, debug = run("show", tmp_path), run("--debug", "show", tmp_path)
    assert plain.err.count("\n") == 1
    assert (plain.code, debug.code) == (2, 2)
    assert "Traceback" in debug.err
    assert debug.err.endswith(plain.err)


def told(monkeypatch: pytest.MonkeyPatch, result: Any = None) -> None:
    """Has a search tell the events above and end."""

    def search(run: Path, **given: Any) -> StoredRun:
        for event in EVENTS:
            if given["listen"]:
                given["listen"](event)
        if isinstance(result, BaseException):
            raise result
        return run_of(five_trials())

    monkeypatch.setattr("ama_ray.tuning.search.search", search)


def test_lines_where_there_is_no_terminal(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch)
    ended = run("search", "run.yaml")
    assert ended.out.startswith("sampler: random\ntrial 4 of 40\n")
    assert "The front on the search split" in ended.out


def test_quiet_prints_the_front_only(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch)
    out = run("search", "run.yaml", "--quiet").out
    assert out.lstrip().startswith("The front on the search split")
    assert run("search", "run.yaml", "--quiet", "--json").code == 2


def test_json_prints_an_object_for_every_event_and_the_front(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch)
    events = [json.loads(line) for line in run("search", "run.yaml", "--json").out.splitlines()]
    assert [event["event"] for event in events] == ["doing", "said", "started", "finished", "front"]
    assert events[3]["objectives"]["reward"] == {"value": 3.5, "se": 0.1}
    assert events[3]["hypervolume"] > 0
    assert [point["number"] for point in events[4]["points"]] == [0, 3, 4, 1]


def test_json_has_no_nan() -> None:
    nothing = TrialFinished(five_trials()[0], "", run_of(five_trials()[:1]).pareto, 1, 1, {})
    assert math.isnan(nothing.so_far.hypervolume if nothing.so_far else 0)
    json.dumps(event_fields(nothing), allow_nan=False)


def test_an_interrupted_search_shows_its_front_and_how_to_go_on(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, Interrupted(2, run_of(five_trials())))
    ended = run("search", "run.yaml")
    assert ended.code == 130
    assert "The front on the search split" in ended.out
    assert ended.err == "ended by SIGINT; the same command goes on from here\n"


def test_one_that_was_ended_at_once_shows_none(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, Interrupted(15))
    ended = run("search", "run.yaml")
    assert ended.code == 143
    assert "front" not in ended.out


def test_the_demo_is_a_search_of_the_bundled_pair_into_a_new_folder_here(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def search(run: Path, **given: Any) -> StoredRun:
        asked.update(given | {"run": run})
        raise Interrupted(2)

    monkeypatch.setattr("ama_ray.tuning.search.search", search)
    monkeypatch.chdir(tmp_path)
    assert run(*["demo"]).code == 130
    config = RunConfig.load(asked["run"], out=asked["out"])
    assert Path(config.base) == ROOT / "base"
    assert config.out.parent == tmp_path / "runs"


def test_resume_and_extend_are_the_search_in_its_folder(
    run: Command, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def search(run: Path, **given: Any) -> StoredRun:
        asked.append((run, given["resume"], given["out"], given.get("trials")))
        raise Interrupted(2)

    monkeypatch.setattr("ama_ray.tuning.search.search", search)
    folder = make_run()
    assert run("resume", folder).err.endswith("the same command goes on from here\n")
    # Given again, it would add as many once more.
    assert run("extend", folder, "--trials", "+5").err.endswith(f"ama-ray resume {folder} goes on from here\n")
    run("extend", folder, "--trials", "60")
    file = folder / "run.yaml"
    assert asked == [(file, "must", folder, None), (file, "must", folder, 45), (file, "must", folder, 60)]
    for trials, words in (("40", "has 40 trials in all already"), ("+", "give a number"), ("-3", "give a number")):
        ended = run("extend", folder, "--trials", trials)
        assert ended.code == 2
        assert words in ended.err
    assert "no run.yaml" in run("resume", folder / "nowhere").err


def test_a_listener_is_not_both() -> None:
    with pytest.raises(UserError, match="exclude each other"), listener(quiet=True, as_json=True):
        pass
