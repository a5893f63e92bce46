"""What a conversation sends, without a server."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.cli.chat.client import ChatError
from ama_ray.cli.chat.completion import candidates
from ama_ray.cli.chat.conversation import Conversation, Frame
from ama_ray.cli.chat.loop import talk
from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.storage.records import read_trials, write_trials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.runs import MakeRun

PROMPTS = RunConfig.load(ROOT / "run.yaml").replies_rewards[0].prompts
FRAME = Frame("user : ", " reply :")


class EchoClient:
    """Answers with the point and the length of what it was asked, a token a word."""

    max_tokens = 4

    def __init__(self, *, template: bool, context: int = 1000) -> None:
        self._template = template
        self._context = context
        self.asked: list[dict[str, Any]] = []

    def points(self) -> list[str]:
        return ["knee", "base"]

    def has_template(self, point: str) -> bool:
        return self._template

    def size(self, point: str, asked: dict[str, Any]) -> tuple[int, int]:
        return len(str(asked).split()), self._context

    def reply(self, point: str, asked: dict[str, Any], stop: list[str]) -> Iterator[str]:
        self.asked.append({"point": point, "stop": stop} | asked)
        if "fail" in str(asked):
            raise ChatError("too long")
        yield f" {point}"
        yield " \x1b[2Jsays hi"


def said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: str,
    client: EchoClient,
    vs: str | None = None,
) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    talk(client, "knee", PROMPTS, vs, scores={"knee": "reward 3.5"})  # type: ignore[arg-type]
    return capsys.readouterr().out.splitlines()


def test_the_frame_is_what_the_reward_prompts_have_in_common() -> None:
    assert Frame.of_run(PROMPTS) == FRAME
    assert Frame.of(["Q: a b A:", "Q: c A:"]) == Frame("Q: ", " A:")
    assert Frame.of(["one text"]) == Frame.of(["two texts", "and more"]) == Frame.of([]) == Frame()
    assert FRAME.around("hi") == FRAME.around("user : hi reply :") == "user : hi reply :"


def test_the_point_changes_in_the_middle_of_a_conversation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = EchoClient(template=True)
    shown = said(monkeypatch, capsys, "one\n/point base\n\ntwo\n/new\nthree\n", client)
    first, second, third = client.asked
    assert first == {"point": "knee", "stop": [], "messages": [{"role": "user", "content": "one"}]}
    assert (second["point"], third["point"]) == ("base", "base")
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][1]["content"] == "knee \x1b[2Jsays hi"
    assert third["messages"] == [{"role": "user", "content": "three"}]
    # A reply cannot move the cursor.
    assert shown[1:] == [
        r"knee \x1b[2Jsays hi",
        "now talking to base",
        r"base \x1b[2Jsays hi",
        "what was said is forgotten",
        r"base \x1b[2Jsays hi",
    ]


def test_two_points_answer_each_with_what_it_said_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = EchoClient(template=True)
    shown = said(monkeypatch, capsys, "one\n/vs base\ntwo\nthree\n/vs nix\n/points\n/vs\nfour\n", client)
    assert [asked["point"] for asked in client.asked] == ["knee", "knee", "base", "knee", "base", "knee"]
    texts = [[message["content"] for message in asked["messages"]] for asked in client.asked]
    knee, base = "knee \x1b[2Jsays hi", "base \x1b[2Jsays hi"
    assert texts[2] == ["one", knee, "two"], "base goes on from what was said before it came"
    assert texts[4] == ["one", knee, "two", base, "three"]
    assert texts[5] == ["one", knee, "two", knee, "three", knee, "four"]
    assert shown[2] == "now talking to knee and base"
    assert shown[3:5] == [r"knee: knee \x1b[2Jsays hi", r"base: base \x1b[2Jsays hi"]
    assert shown[7:10] == ["There is no point 'nix'; the server has knee, base.", "* knee  reward 3.5", "* base"]
    assert shown[-2:] == ["now talking to knee", r"knee \x1b[2Jsays hi"]


def test_two_points_from_the_start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    client = EchoClient(template=True)
    shown = said(monkeypatch, capsys, "one\n/new\ntwo\n", client, vs="base")
    assert shown[0].startswith("talking to knee and base; ")
    assert [len(asked["messages"]) for asked in client.asked] == [1, 1, 1, 1]
    with pytest.raises(UserError, match="no point 'nix'"):
        said(monkeypatch, capsys, "", client, vs="nix")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/p", ["/point", "/points"]),
        ("/vs a", ["aligned"]),
        ("/point uniform-0.", ["uniform-0.1", "uniform-0.5"]),
        ("/vs nix", []),
        ("hi a", []),
    ],
)
def test_tab_completes_commands_and_points(line: str, found: list[str]) -> None:
    names = ["knee", "base", "aligned", "uniform-0.1", "uniform-0.5"]
    assert candidates(line, line.rpartition(" ")[2], ["/point", "/points", "/vs"], names) == found


def test_without_a_template_the_text_so_far_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = EchoClient(template=False)
    shown = said(monkeypatch, capsys, "one\ntwo\n", client)
    assert "no chat template" in shown[1]
    assert client.asked[1] == {
        "point": "knee",
        "stop": ["user :"],
        "prompt": "user : one reply : knee \x1b[2Jsays hi\nuser : two reply :",
    }


def test_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    client = EchoClient(template=True)
    shown = said(monkeypatch, capsys, "/points\n/point nix\n/what\nfail\n/quit\nnever\n", client)
    assert shown[1:3] == ["* knee  reward 3.5", "  base"]
    assert shown[3] == "There is no point 'nix'; the server has knee, base."
    assert shown[4].startswith("/point NAME")
    assert shown[-1] == "no reply: too long"
    assert len(client.asked) == 1


def test_the_oldest_exchanges_make_room(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    client = EchoClient(template=False, context=20)
    shown = said(monkeypatch, capsys, "one\ntwo\nthree\n", client)
    assert any("forgot the oldest 1" in line for line in shown)
    assert "one" not in client.asked[2]["prompt"]
    assert "two" in client.asked[2]["prompt"]


def test_an_unknown_point_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="the server has knee, base"):
        talk(EchoClient(template=True), "trial-9", PROMPTS, scores={})  # type: ignore[arg-type]


def test_a_conversation_begins_empty() -> None:
    assert Conversation(None).asked("hi") == {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--point", "trial-9"], "There is no trial 9"),
        (["--point", "uniform-0.3"], "no uniform point with ratio 0.3"),
        (["--point", "4"], "4: is not served; name one of knee, base, aligned, trial-0, trial-3"),
        (["--vs", "4"], "4: is not served; name one of knee, base, aligned, trial-0, trial-3"),
        (["--url", "http://127.0.0.1:9"], "no server answers at http://127.0.0.1:9"),
        (["--url", "nonsense"], "no server answers"),
        (["--api-key-env", "NOT_SET_HERE"], "--url"),
        (["--url", "http://127.0.0.1:9", "--api-key-env", "NOT_SET_HERE"], "NOT_SET_HERE is not set"),
    ],
)
def test_chat_refuses_in_one_sentence(arguments: list[str], words: str, run: Command, make_run: MakeRun) -> None:
    ended = run("chat", make_run(), *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "needs a key"),
        (["--api-key-env", "NOT_SET_HERE"], "NOT_SET_HERE is not set"),
        (["--host", "192.0.2.1", "--api-key-env", "HOME"], "cannot listen there"),
    ],
)
def test_serve_refuses_in_one_sentence(options: list[str], words: str, run: Command, make_run: MakeRun) -> None:
    ended = run("serve", make_run(), *options)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_serve_needs_a_front(run: Command, make_run: MakeRun, tmp_path: Path) -> None:
    assert "no run.yaml" in run("serve", tmp_path).err
    folder = make_run()
    first, *_ = read_trials(folder / "trials.csv")
    write_trials(folder / "trials.csv", [replace(first, state="failed")])
    ended = run("serve", folder)
    assert (ended.code, ended.err) == (2, "error: No trial is complete, so that there is no front to serve.\n")
