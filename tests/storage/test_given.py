"""What Python gives in place of files becomes files, whose names say what is in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from datasets import Dataset

from ama_ray import Run
from ama_ray.data.splits import is_test_split
from ama_ray.errors import UserError
from ama_ray.processes.worker import CallError, call, end_workers
from ama_ray.report.html.render import write_html
from ama_ray.rewards.function import read_function
from ama_ray.storage.given import Given
from tests.support.runs import run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = [{"prompt": "one", "weight": 1}, {"prompt": "zwölf", "weight": 2}]


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()


def longer_than(limit: int) -> Any:
    def score(rows: list[dict[str, Any]], replies: list[str]) -> list[float]:
        return [helper(reply, limit) * row["weight"] for row, reply in zip(rows, replies, strict=True)]

    return score


def helper(reply: str, limit: int) -> float:
    return float(len(reply) > limit)


class Counter:
    """How often it was called, which a new one would not know."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: list[dict[str, Any]], replies: list[str]) -> list[float]:
        self.calls += 1
        return [float(self.calls) for _ in replies]


def given_reward(folder: Path, **fields: Any) -> Given:
    return Given.of({"reward": {"kind": "function", **fields}, "trials": 3}, folder)


def called(given: Given, times: int = 1) -> list[float]:
    given.write()
    function = read_function(given.fields["reward"]["scorer"])
    replies = [{"text": "ab"}, {"text": "abcd"}]
    for _ in range(times):
        numbers = call(function, ROWS, replies, timeout=30)
    return numbers


@pytest.mark.parametrize("rows", [ROWS, tuple(ROWS), Dataset.from_list(ROWS)])
def test_rows_become_a_file_of_json_lines(tmp_path: Path, rows: Any) -> None:
    given = given_reward(tmp_path, prompts=rows)
    given.write()
    file = given.fields["reward"]["prompts"]["file"]
    assert file.parent == tmp_path / "given"
    assert list(map(json.loads, file.read_text().splitlines())) == ROWS
    assert given.fields["trials"] == 3


def test_prompts_may_be_texts_and_files_of_probes_rows(tmp_path: Path) -> None:
    tax = [{"file": ROWS, "few_shot": {"file": ROWS}}]
    given = Given.of({"reward": [{"prompts": ["a", "b"]}], "tax": tax}, tmp_path)
    prompts = given.files[given.fields["reward"][0]["prompts"]["file"]]
    assert list(map(json.loads, prompts.splitlines())) == [{"prompt": "a"}, {"prompt": "b"}]
    probe = given.fields["tax"][0]
    assert probe["file"].name.startswith("tax.0.file-")
    assert probe["few_shot"]["file"].name.startswith("tax.0.few_shot.file-")


def test_other_rows_have_another_name_and_the_same_ones_the_same(tmp_path: Path) -> None:
    first, again, other = (set(given_reward(tmp_path, prompts=rows).files) for rows in (ROWS, list(ROWS), ROWS[:1]))
    assert first == again
    assert not first & other


def test_what_a_run_file_says_stays_as_it_is(tmp_path: Path) -> None:
    fields = {"reward": {"prompts": {"file": "p.jsonl"}, "scorer": "r.py:score"}, "tax": "nonsense", "sampler": "tpe"}
    assert Given.of(fields, tmp_path) == Given(fields)


def test_the_split_of_a_dataset_is_in_its_name(tmp_path: Path) -> None:
    from datasets import NamedSplit

    (file,) = given_reward(tmp_path, prompts=Dataset.from_list(ROWS, split=NamedSplit("test"))).files
    assert is_test_split(file.name)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": object()}, "reward.prompts: row 2 is nothing that JSON can hold"),
        ({"prompt": float("nan")}, "reward.prompts: row 2 is nothing that JSON can hold"),
        (7, "reward.prompts: row 2 is int; give rows as mappings"),
    ],
)
def test_rows_that_no_file_can_hold_are_named(tmp_path: Path, row: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        given_reward(tmp_path, prompts=[ROWS[0], row])


def test_a_closure_is_called_in_its_process(tmp_path: Path) -> None:
    assert called(given_reward(tmp_path, scorer=longer_than(2))) == [0.0, 2.0]
    assert called(given_reward(tmp_path, scorer=longer_than(1))) == [1.0, 2.0]


def test_a_class_is_made_once_and_what_it_made_is_called(tmp_path: Path) -> None:
    assert called(given_reward(tmp_path, scorer=Counter), times=3) == [3.0, 3.0]


def test_an_object_takes_along_what_it_holds(tmp_path: Path) -> None:
    counter = Counter()
    counter.calls = 10
    assert called(given_reward(tmp_path, scorer=counter)) == [11.0, 11.0]
    assert counter.calls == 10


def test_a_class_in_a_file_is_made_once_too(tmp_path: Path) -> None:
    (tmp_path / "r.py").write_text(
        "class Score:\n    calls = 0\n    def __call__(self, rows, replies):\n        self.calls += 1\n"
        "        return [self.calls] * len(replies)\n"
    )
    assert called(Given({"reward": {"scorer": f"{tmp_path}/r.py:Score"}}), times=2) == [2.0, 2.0]


def test_functions_are_told_apart_by_their_source_and_what_they_hold(tmp_path: Path) -> None:
    def name(scorer: Any) -> str:
        (path,) = given_reward(tmp_path, scorer=scorer).files
        return path.name

    counter = Counter()
    scorers = (longer_than(1), longer_than(2), Counter, counter, lambda rows, replies: [1.0, 2.0])
    names = [name(each) for each in scorers]
    assert len(set(names)) == len(names)
    assert names[0] == name(longer_than(1))
    assert names[0].startswith("score-")
    counter.calls = 7
    assert name(counter) != names[3]
    assert name(partial(longer_than(1), [])) != name(partial(longer_than(1), [1]))


SCRIPT = """
from pathlib import Path
from ama_ray.storage.given import Given
from tests.support.runs import run_of, write_run
from tests.support.trials import five_trials
words = {"a", "b", "c", "d", "e"}
def used(reply): return REPLACED * len(words & set(reply))
def outer():
    held = object()
    def score(rows, replies): return [used(reply) for reply in replies]
    return score
print(*Given.of({"reward": {"scorer": outer()}}, Path("/run")).files)
"""


def test_the_name_is_the_same_in_every_process_until_a_helper_changes(tmp_path: Path) -> None:
    def printed(factor: str, seed: str) -> str:
        (tmp_path / "script.py").write_text(SCRIPT.replace("REPLACED", factor))
        env = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, tmp_path / "script.py"], env=env, check=True, capture_output=True, text=True
        ).stdout

    assert printed("1", "1") == printed("1", "2")
    assert printed("1", "1") != printed("2", "1")


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    given = given_reward(tmp_path, scorer=longer_than(2))
    given.write()
    (path,) = given.files
    path.write_bytes(b"as it was")
    given.write()
    assert path.read_bytes() == b"as it was"


def test_what_cannot_be_pickled_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = (tmp_path / "open").open("w")
    words = r"reward\.scorer: .*cannot be sent to another process.*where it is called"
    with file, pytest.raises(UserError, match=words):
        given_reward(tmp_path, scorer=lambda rows, replies: [file.name for _ in replies])


def test_a_pickle_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    given = given_reward(tmp_path, scorer=longer_than(2))
    (path,) = given.files
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    with pytest.raises(CallError, match="cannot be unpickled"):
        called(given)


def test_a_sampler_is_kept_beside_the_name_of_its_class(tmp_path: Path) -> None:
    sampler = optuna.samplers.NSGAIISampler(population_size=8)
    given = Given.of({"sampler": sampler}, tmp_path)
    assert given.sampler is sampler
    assert resolve_name(given.fields["sampler"]) is optuna.samplers.NSGAIISampler
    of_class = Given.of({"sampler": optuna.samplers.QMCSampler}, tmp_path)
    assert of_class.sampler is None
    assert resolve_name(of_class.fields["sampler"]) is optuna.samplers.QMCSampler


class Trap:
    """An object that leaves a trace where it is unpickled."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return open, (self.trace, "w")

    def __call__(self, rows: Any, replies: Any) -> list[float]:
        raise NotImplementedError


def test_looking_at_a_run_unpickles_nothing(tmp_path: Path) -> None:
    trace, folder = tmp_path / "trace", tmp_path / "run"
    given = given_reward(folder, scorer=Trap(str(trace)), prompts=ROWS)
    run = run_of(five_trials(), folder, reward=given.fields["reward"])
    write_run(run)
    given.write()
    write_html(Run.open(folder))
    assert not trace.exists()
    with pytest.raises(CallError):
        called(given)
    assert trace.exists()
