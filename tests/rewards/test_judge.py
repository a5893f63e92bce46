"""Against a server of the test's own that misbehaves on purpose; `test_judge_vllm` asks a real one."""

import logging
import pickle
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.rewards.base import PreparedReward, ScorerError
from ama_ray.rewards.verdict_cache import JudgeCache
from tests.support.judge_server import Served, serving
from tests.support.replies import said
from tests.support.rewards import prepare

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(lambda question: str(len(question) % 10 + 1)) as served:
        yield served


def read(folder: Path, url: str, judge: dict[str, Any] | None = None, **fields: Any) -> PreparedReward:
    asked = {"url": url, "model": "judge", "retries": 0, "template": "{prompt}>{reply}"} | (judge or {})
    return prepare(folder, **{"kind": "judge", "judge": asked} | fields)[0]


def test_every_reply_is_marked_with_its_prompt(tmp_path: Path, server: Served) -> None:
    reward = read(tmp_path, server.url, sampling={"n": 2})
    scored = reward.score(said([["x", "xx"], ["{prompt}", ""]]))
    assert sorted(server.questions) == ["a b>Yes.", "a b>x", "a b>xx", "c>", "c>{prompt}"]
    assert scored.scores.tolist() == [[6, 7], [len("c>{prompt}") % 10 + 1, 3]]
    assert scored.tokens == {"prompt": 28, "completion": 8}
    assert all(body["temperature"] == 0 and body["seed"] == 0 and body["max_tokens"] == 256 for body in server.bodies)


def test_known_verdicts_cost_nothing(tmp_path: Path, server: Served) -> None:
    reward = read(tmp_path, server.url)
    first, again = (reward.score(said([["x"], ["y"]])) for _ in range(2))
    assert again.scores.tolist() == first.scores.tolist()
    assert first.tokens == {"prompt": 14, "completion": 4}
    assert again.tokens == {"prompt": 0, "completion": 0}
    assert len(server.questions) == 1 + 2  # the one with which a judge is tried first
    for change in ({"model": "other"}, {"max_tokens": 5}, {"template": "{prompt}?{reply}"}):
        server.models = ["judge", "other"]
        before = len(server.questions)
        read(tmp_path, server.url, change).score(said([["x"], ["y"]]))
        assert len(server.questions) == before + 1 + 2


def test_equal_questions_are_asked_once(tmp_path: Path, server: Served) -> None:
    scored = read(tmp_path, server.url, sampling={"n": 3}).score(said([["x", "x", "x"], ["x", "x", "y"]]))
    assert len(server.questions) == 1 + 3
    assert scored.tokens["prompt"] == 21


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_requests_at_a_time_than_allowed(tmp_path: Path, server: Served, limit: int) -> None:
    server.seconds = 0.02
    reward = read(tmp_path, server.url, {"concurrency": limit}, sampling={"n": 6})
    reward.score(said([[f"x{i}" for i in range(6)], [f"y{i}" for i in range(6)]]))
    assert server.most == limit


def test_a_request_that_fails_is_repeated_after_a_wait(tmp_path: Path) -> None:
    times: list[float] = []

    def moody(question: str) -> str | int:
        times.append(time.perf_counter())
        return (503, 429)[len(times) - 1] if len(times) < 3 else "4"

    with serving(moody) as server:
        reward = read(tmp_path, server.url, {"retries": 2}, rows=[{"prompt": "a"}])
        assert reward.score(said([["x"]])).scores.tolist() == [[4]]
    waits = [after - before for before, after in pairwise(times)]
    assert len(times) == 3 + 1  # the first three to try the judge
    assert waits[0] > 0.3
    assert waits[1] > 0.7  # twice as long, less a quarter at most


def test_a_judge_that_does_not_answer_in_time_is_named(tmp_path: Path, server: Served) -> None:
    reward = read(tmp_path, server.url, {"timeout": 0.2})
    server.seconds = 1
    with pytest.raises(ScorerError, match=rf"^the judge judge at {server.url} did not answer in time$"):
        reward.score(said([["x"], ["y"]]))


def test_a_judge_that_goes_away_is_named(tmp_path: Path) -> None:
    with serving(lambda question: "3") as server:
        reward = read(tmp_path, server.url)
    with pytest.raises(ScorerError, match=r"^the judge judge at http://127.0.0.1.* cannot be reached \(.*\)$"):
        reward.score(said([["x"], ["y"]]))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("fine", r"gave no number from 1 to 10 for 2 of 2 questions; it answered 'fine' \(finish reason: stop\)"),
        ("", "gave no number from 1 to 10 for 2 of 2 questions; it answered ''"),
        ("42", "gave no number from 1 to 10 for 2 of 2 questions; it answered '42'"),
        (400, r"answered with status 400 \(.*no, not for"),
        ({"choices": []}, "did not answer as an OpenAI-compatible server does"),
        ({"what": 1}, "did not answer as an OpenAI-compatible server does"),
    ],
)
def test_an_answer_that_is_no_mark_is_shown(tmp_path: Path, answer: Any, words: str) -> None:
    with serving(lambda question: "5") as server:
        reward = read(tmp_path, server.url)
        server.answer = lambda question: answer
        with pytest.raises(ScorerError, match=words) as caught:
            reward.score(said([["x"], ["y"]]))
        assert str(caught.value).startswith("the judge judge at ")
        assert "\n" not in str(caught.value)
        server.answer = lambda question: "5"
        assert reward.score(said([["x"], ["y"]])).scores.tolist() == [[5], [5]]


def test_a_failure_loses_no_verdict_that_was_paid_for(tmp_path: Path) -> None:
    with serving(lambda question: 500 if question.endswith("y") else "3") as server:
        reward = read(tmp_path, server.url, {"concurrency": 1})
        with pytest.raises(ScorerError, match="status 500"):
            reward.score(said([["x"], ["y"]]))
        server.answer = lambda question: "4"
        assert reward.score(said([["x"], ["y"]])).scores.tolist() == [[3], [4]]


@pytest.mark.parametrize(
    ("models", "url", "words"),
    [
        (
            ["judge"],
            "http://127.0.0.1:9/v1",
            r"^the judge judge at http://127.0.0.1:9/v1 cannot be reached .*server runs",
        ),
        (["one", "two"], None, r"the server has no such model; it has one, two\.$"),
        ([], None, r"it has none\.$"),
    ],
)
def test_a_judge_that_is_not_there_is_named_before_anything_starts(
    tmp_path: Path, models: list[str], url: str | None, words: str
) -> None:
    with serving(lambda question: "1", models) as server, pytest.raises(UserError, match=words):
        read(tmp_path, url or server.url)


def test_a_server_that_lists_no_models_is_taken_at_its_word(tmp_path: Path) -> None:
    with serving(lambda question: "1", None) as server:
        assert read(tmp_path, server.url).score(said([["x"], ["y"]])).scores.tolist() == [[1], [1]]


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    judge = {"api_key_env": "JUDGE_KEY"}
    with pytest.raises(UserError, match=r"api_key_env: the environment variable JUDGE_KEY is not set"):
        read(tmp_path, server.url, judge)
    monkeypatch.setenv("JUDGE_KEY", KEY)
    reward = read(tmp_path, server.url, judge)
    reward.score(said([["x"], ["y"]]))
    assert server.keys == {f"Bearer {KEY}"}
    server.answer = lambda question: 401
    with pytest.raises(ScorerError, match=r"status 401 .*\*\*\*") as caught:
        reward.score(said([["new"], ["y"]]))
    shown = [str(caught.value), repr(caught.value), repr(reward), str(pickle.dumps(reward)), caplog.text]
    assert not [text for text in shown if KEY in text]
    files = [file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert not [content for content in files if KEY.encode() in content]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"its verdicts cannot be kept in .*/file/ama_ray/judges .*XDG_CACHE_HOME"):
        read(tmp_path, server.url)


def test_a_reference_and_several_turns_reach_the_judge(tmp_path: Path, server: Served) -> None:
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    rows = [{"prompt": turns, "reference": "gold"}]
    template = {"template": '{"p": {prompt}, "r": {reply}, "gold": {reference}, {low}-{high}}'}
    reward = read(tmp_path, server.url, template, rows=rows, scale=(0, 20))
    reward.score(said([["x"]]))
    assert server.questions[1:] == ['{"p": User: one\n\nAssistant: two, "r": x, "gold": gold, 0-20}']
    with pytest.raises(UserError, match=r"prompts.jsonl, line 1: the field 'gold' is missing"):
        read(tmp_path, server.url, template, rows=rows, reference="gold")


# The taste of a judge that also has a bias to the first place.
QUALITY = {"Yes.": 0.5, "bad": 0.0, "poor": 0.2, "fair": 0.5, "good": 0.8, "best": 1.0}


@given(
    bias=st.floats(0, 0.5),
    replies=st.lists(st.sampled_from(["bad", "best", "fair", "good", "poor"]), min_size=2, max_size=2),
)
@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_orders_take_the_bias_of_a_pairwise_judge_out(tmp_path: Path, bias: float, replies: list[str]) -> None:
    def verdict(question: str) -> str:
        first, second = question.split("?")[1].split("|")
        return f"{1.5 + (QUALITY[second] - QUALITY[first]) / 4 - bias / 2:.6f}"

    rows = [{"prompt": "a", "reference": "fair"}, {"prompt": "c", "reference": "good"}]
    template = {"template": f"{bias}{{prompt}}?{{first}}|{{second}}"}
    with serving(verdict) as server:
        reward = read(tmp_path, server.url, template, kind="pairwise", rows=rows)
        scored = reward.score(said([[replies[0]], [replies[1]]]))
        assert len(server.questions) == 1 + 2 * len(set(zip("ac", replies, strict=True))) - (replies[0] == "fair") - (
            replies[1] == "good"
        )
    expected = [
        [0.5 + (QUALITY[reply] - QUALITY[reference]) / 4]
        for reply, reference in zip(replies, ("fair", "good"), strict=True)
    ]
    assert scored.scores.tolist() == [pytest.approx(each, abs=1e-5) for each in expected]


def test_a_pairwise_judge_that_always_likes_the_first_gives_half(tmp_path: Path) -> None:
    with serving(lambda question: "1") as server:
        reward = read(tmp_path, server.url, {"template": None}, kind="pairwise")
        assert reward.score(said([["x"], ["y"]])).scores.tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"judge": {"url": "http://u:p@127.0.0.1/v1", "model": "m"}}, "must not hold a password"),
        ({"judge": {"url": "ftp://x", "model": "m"}}, "url"),
        ({"judge": {"url": "http://x", "model": "m", "template": "{prompt}"}}, r"\{reply\} must stand"),
        ({"judge": {"url": "http://x", "model": "m"}, "scale": (3, 3)}, "lowest mark"),
        ({"judge": {"url": "http://x", "model": "m", "template": "{first}"}, "kind": "pairwise"}, r"\{second\} must"),
        ({"kind": "pairwise"}, "either scorer"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_refused_in_the_run_file(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        prepare(tmp_path, **{"kind": "judge"} | fields)


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._trace,)


def test_nothing_in_the_cache_is_run_and_it_is_the_user_s_alone(tmp_path: Path) -> None:
    question, trace = {"model": "m", "text": "which?"}, tmp_path / "trace"
    with JudgeCache.open() as cache:
        cache.keep(question, "7")
        assert cache.get(question) == "7"
        assert cache.get({"model": "m", "text": "what?"}) is None
    (file,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for planted in (pickle.dumps(Bomb(trace)), pickle.dumps(Bomb(trace), protocol=0).decode()):
        with closing(sqlite3.connect(file)) as database, database, suppress(sqlite3.IntegrityError):
            database.execute("UPDATE verdicts SET answer = ?", (planted,))
        with JudgeCache.open() as cache:
            assert isinstance(cache.get(question), str)
    assert not trace.exists()
