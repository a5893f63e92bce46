"""Rewards and probes that a command scores: how it is told where to ask, and what is made of what it says."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.evaluation import work
from ama_ray.evaluation.commands import Commands, Outcome, PreparedCommand
from ama_ray.evaluation.evaluation import Answers, Evaluation
from ama_ray.evaluation.terms import objectives_of
from ama_ray.rewards.base import ScorerError
from tests.support.words import StandInEngine, WordTokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.config import Split

ECHO = "import os, sys; print('first'); print(sys.argv[1]); print('beside', file=sys.stderr)"


def config(folder: Path, *probes: Any, **more: Any) -> RunConfig:
    command = {"kind": "command", "folder": folder, "timeout": 30}
    return RunConfig.from_arguments(
        base="base",
        aligned="aligned",
        reward=command | {"command": "sh reward.sh"},
        tax=[command | {"name": f"p{i}", "family": "f", "command": each} for i, each in enumerate(probes)],
        out=folder / "out",
        **({"engine": {"max_model_len": 64}} | more),
    )


def outcome(folder: Path, said: str, split: Split = "search", *, probe: bool = True) -> Outcome:
    """What comes of a command that says this."""
    reward, tax = config(folder, "true").commands
    settings = (tax if probe else reward).model_copy(update={"command": (sys.executable, "-c", ECHO, said)})
    return ran(PreparedCommand(settings, split))


def ran(command: PreparedCommand) -> Outcome:
    return Commands((command,)).run(StandInEngine(WordTokenizer()))[command.name]


def test_it_knows_where_to_ask_and_writes_to_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "elsewhere")
    names = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "AMA_RAY_MODEL", "AMA_RAY_SPLIT", "NO_PROXY", "PWD")
    script = (
        f'printf "%s\\n" {" ".join(f"${name}" for name in names)}; echo \'{{"scores": [2.5, -1]}}\' > "$AMA_RAY_OUTPUT"'
    )
    (tmp_path / "reward.sh").write_text(script)
    found = ran(PreparedCommand(config(tmp_path, "true").commands[0], "report"))
    assert found.failure == ""
    assert dict(found.scores) == {"0": 2.5, "1": -1.0}
    assert found.written.splitlines() == [
        "http://127.0.0.1:9/v1",
        "***",  # the key is in no log
        "point",
        "report",
        "elsewhere,127.0.0.1",
        str(tmp_path),
    ]


def test_the_last_line_counts_and_the_rest_is_for_the_log(tmp_path: Path) -> None:
    found = outcome(tmp_path, json.dumps({"scores": {"b": 1, "a": 0.25, "c": True}}))
    assert dict(found.scores) == {"b": 1, "a": 0.25, "c": 1}
    assert found.written == "first\nbeside"


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ("forty-two", "must say {\"scores\": [...]}, and said 'forty-two'"),
        ("", "must say {\"scores\": [...]}, and said 'first'"),
        ("[1, 2]", 'must say {"scores": [...]} with a number per item'),
        ('{"scores": []}', 'must say {"scores": [...]} with a number per item'),
        ('{"scores": 0.5}', 'must say {"scores": [...]} with a number per item'),
        ('{"mean": 0.5, "stderr": 0.1}', 'gave a mean; it must say {"scores": [...]}, as trials are compared with'),
        ('{"scores": [0, NaN]}', "gave the item 1 the score nan, which is no finite number"),
        ('{"scores": [1, Infinity]}', "gave the item 1 the score inf, which is no finite number"),
        (f'{{"scores": [1{"0" * 400}]}}', "gave the item 0 the score 1000000000"),
        ('{"scores": {"a": "right"}}', "gave the item a the score 'right', which is no finite number"),
        ('{"scores": {"a": null}}', "gave the item a the score None"),
        ('{"scores": [1.5]}', "gave the item 0 the score 1.5; those of a probe are from 0 to 1"),
    ],
)
def test_what_is_no_scores_is_told(said: str, failure: str, tmp_path: Path) -> None:
    found = outcome(tmp_path, said)
    assert found.scores == {}
    assert found.failure.startswith(failure)


def test_a_reward_is_any_finite_number(tmp_path: Path) -> None:
    assert dict(outcome(tmp_path, '{"scores": [1.5, -7]}', probe=False).scores) == {"0": 1.5, "1": -7}


def test_one_that_fails_says_so_with_its_last_words(tmp_path: Path) -> None:
    command = config(tmp_path, [sys.executable, "-c", "raise ValueError('no taste today')"]).commands[1]
    found = ran(PreparedCommand(command, "search"))
    assert found.failure == "ended with exit code 1: ValueError: no taste today"
    assert "Traceback" in found.written


def test_items_are_those_of_base_in_its_order(tmp_path: Path) -> None:
    commands = Commands((PreparedCommand(config(tmp_path, "true").commands[1], "search"),))
    base = {"p0": Outcome({"a": 1.0, "b": 0.0})}
    assert commands.items({"p0": Outcome({"b": 0.5, "a": 0.25})}, base)["p0"].tolist() == [[0.25], [0.5]]
    wrong = {
        "p0 did not score the items of base: 1 missing, such as b": Outcome({"a": 1.0}),
        "p0 did not score the items of base: 1 missing, such as b and 2 new, such as c": Outcome(
            {"a": 1.0, "c": 1.0, "d": 1.0}
        ),
        "p0 did not end within 3 s": Outcome({}, "said before", "did not end within 3 s"),
    }
    for words, found in wrong.items():
        with pytest.raises(ScorerError) as error:
            commands.items({"p0": found}, base)
        assert str(error.value) == f"the command of {words}"
        assert error.value.written == ({"p0": "said before"} if found.written else {})
    with pytest.raises(ScorerError, match=r"^the command of p0 failed for base: it ended with exit code 1$") as error:
        commands.items({"p0": Outcome({"a": 1.0})}, {"p0": Outcome({}, "said then", "ended with exit code 1")})
    assert error.value.written == {"p0, for base,": "said then"}


def test_a_run_of_commands_alone_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "reward.sh").write_text("echo '{\"scores\": [2, 4]}'")
    made = config(tmp_path, "echo '{\"scores\": [1, 0, 1, 0]}'")
    evaluations = Evaluation.prepare(made, WordTokenizer(), None)
    engine, evaluation = StandInEngine(WordTokenizer()), evaluations["search"]
    assert evaluations.keys() == {"search", "report", "trade", "part-0"}
    assert (evaluation.requests, evaluation.context_length, work.sizes(evaluation)) == ((), 0, {})
    base = evaluation.ask(engine)
    measured = evaluation.evaluate(engine, lambda: base)
    assert {name: items[:, 0].tolist() for name, items in measured.items.items()} == {
        "reward": [2, 4],
        "p0": [1, 0, 1, 0],
    }
    part = evaluations["part-0"].answers_in(evaluation, base)
    assert part == base
    objectives = objectives_of(made)
    scores = objectives.scores(measured.items, {"p0": 1 - measured.items["p0"]})
    assert (scores.objectives["reward"].value, scores.objectives["tax"].value) == (3, 0)
    assert scores.objectives["tax"].se > 0


def test_it_runs_beside_rewards_and_probes_with_items(tmp_path: Path) -> None:
    (tmp_path / "facts.jsonl").write_text('{"prompt": "sky", "choices": ["red", "blue"], "gold": 1}\n')
    (tmp_path / "more.jsonl").write_text('{"prompt": "sea", "choices": ["red", "blue"], "gold": 1}\n')
    (tmp_path / "reward.sh").write_text("echo '{\"scores\": [2, 4]}'")
    made = config(tmp_path, "true")
    facts = {
        "kind": "choice",
        "name": "facts",
        "family": "f",
        "file": tmp_path / "facts.jsonl",
        "report_file": tmp_path / "more.jsonl",
    }
    made = RunConfig.from_arguments(**made.model_dump(exclude={"tax"}) | {"tax": [facts]})
    tokenizer = WordTokenizer()
    evaluation = Evaluation.prepare(made, tokenizer, None)["report"]
    answers = evaluation.ask(StandInEngine(tokenizer))
    assert len(answers.by_request) == 1
    assert evaluation.measure(answers, answers).items.keys() == {"reward", "facts"}
    with pytest.raises(KeyError):
        evaluation.measure_probes(Answers(answers.by_request), answers)["reward"]


@pytest.mark.parametrize("command", ["no-such-program --now", "./not-there.sh", ["./no-program.txt"]])
def test_a_program_that_is_not_there_is_refused(command: Any, tmp_path: Path) -> None:
    (tmp_path / "no-program.txt").write_text("text")
    with pytest.raises(UserError, match=r"p0: there is no program \S+ that could be run in"):
        PreparedCommand.prepare(config(tmp_path, command).commands[1])


def test_check_names_it_and_its_files_are_part_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("one")
    command = PreparedCommand.prepare(config(tmp_path, "sh score.py --items 'a b'").commands[1])["search"]
    assert command.findings() == f"p0: `sh score.py --items 'a b'` is run in {tmp_path} for each trial, 30 s at most"
    before = command.digests
    assert [*before] == [str(tmp_path / "score.py")]
    (tmp_path / "score.py").write_text("two")
    assert command.digests != before
    of_python = PreparedCommand.prepare(config(tmp_path, [sys.executable, "score.py"]).commands[1])["search"]
    assert of_python.digests == command.digests  # without Python's own


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"engine": {}}, "engine.max_model_len: a command may ask anything; give the most tokens"),
        ({"constraints": {"tokens": "<= 5"}}, "tokens.of: no reward has replies that could be counted"),
        ({"tokens": {"of": "nobody"}}, "tokens.of: there is no 'nobody'"),
    ],
)
def test_what_does_not_go_with_a_command_is_refused(fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        config(tmp_path, "true", **fields)


def test_servers_know_their_context_themselves(tmp_path: Path) -> None:
    assert config(tmp_path, "true", engine={"url": "http://127.0.0.1:9"}).engine.max_model_len is None


def test_it_is_run_where_the_run_file_lies(tmp_path: Path) -> None:
    fields = {
        "base": "base",
        "aligned": "aligned",
        "reward": {"kind": "command", "command": "./reward.sh"},
        "tax": [{"kind": "command", "command": "./tax.sh", "folder": "there", "name": "p", "family": "f"}],
        "out": "out",
        "engine": {"max_model_len": 64},
    }
    made = RunConfig.parse(fields, "run.yaml", tmp_path)
    assert [str(each.folder) for each in made.commands] == [str(tmp_path), str(tmp_path / "there")]
    assert RunConfig.parse(json.loads(json.dumps(made.model_dump(mode="json"))), "again") == made
    assert os.fspath(made.commands[0].folder) == os.fspath(tmp_path)


@pytest.mark.parametrize("command", ["", [], [""]])
def test_a_command_without_a_program_is_refused(command: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the program, and its arguments after it"):
        config(tmp_path, command)
