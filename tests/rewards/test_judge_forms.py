"""How a judge is asked, what it may leave out, and whether it agrees with itself."""

import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.rewards.base import PreparedReward, ScorerError
from tests.support.judge_server import serving
from tests.support.replies import said
from tests.support.rewards import prepare


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def read(folder: Path, url: str, judge: dict[str, Any] | None = None, **fields: Any) -> PreparedReward:
    asked = {"url": url, "model": "judge", "retries": 0, "template": "{prompt}>{reply}"} | (judge or {})
    return prepare(folder, **{"kind": "judge", "judge": asked} | fields)[0]


def fields_of(body: dict[str, Any]) -> set[str]:
    form = {"response_format", "tools"} & body.keys()
    return form | {"max_tokens", "max_completion_tokens", "temperature", "seed"} & body.keys()


@pytest.mark.parametrize(
    ("refused", "sent"),
    [
        ((), {"response_format", "max_tokens", "temperature", "seed"}),
        (("max_tokens",), {"response_format", "max_completion_tokens", "temperature", "seed"}),
        (("temperature",), {"response_format", "max_tokens", "seed"}),
        (("max_tokens", "temperature", "seed"), {"response_format", "max_completion_tokens"}),
        (("response_format",), {"tools", "max_tokens", "temperature", "seed"}),
        (("response_format", "tools"), {"max_tokens", "temperature", "seed"}),
        (("response_format", "tools", "max_tokens", "temperature"), {"max_completion_tokens", "seed"}),
    ],
)
def test_what_a_server_refuses_it_is_told_once(tmp_path: Path, refused: tuple[str, ...], sent: set[str]) -> None:
    def refusal(body: dict[str, Any]) -> str:
        found = [name for name in refused if name in body]
        return f"Unsupported parameter: '{found[0]}' is not supported with this model." if found else ""

    with serving(lambda question: '{"score": 7}') as server:
        server.refusal = refusal
        reward = read(tmp_path, server.url)
        assert len(server.bodies) == len(refused) + 1
        server.bodies.clear()
        assert reward.score(said([["x"], ["y"]])).scores.tolist() == [[7], [7]]
    assert [fields_of(body) for body in server.bodies] == [sent, sent]


def test_a_model_that_writes_no_marks_in_a_form_is_asked_in_the_next(tmp_path: Path) -> None:
    with serving(lambda question: "4") as server:
        answer = server.answer
        server.answer = lambda question: " " * 9 if "response_format" in server.bodies[-1] else answer(question)
        reward = read(tmp_path, server.url)
        assert [fields_of(body) & {"response_format", "tools"} for body in server.bodies] == [
            {"response_format"},
            {"tools"},
        ]
        assert reward.score(said([["x"], ["y"]])).scores.tolist() == [[4], [4]]


def test_what_was_learnt_travels_to_the_trials_which_keep_to_one_form(tmp_path: Path) -> None:
    with serving(lambda question: "4") as server:
        server.refusal = lambda body: (
            "max_tokens, response_format" if {"max_tokens", "response_format"} & {*body} else ""
        )
        reward = pickle.loads(pickle.dumps(read(tmp_path, server.url)))
        server.bodies.clear()
        server.answer = lambda question: "no" if question == "0>x" else "4"
        rows = [{"prompt": f"{number}"} for number in range(20)]
        reward = replace(reward, rows=tuple(Row(row, "here") for row in rows))
        assert reward.score(said([["x"]] * 20)).missing == 1
    assert {frozenset(fields_of(body)) for body in server.bodies} == {
        frozenset({"tools", "max_completion_tokens", "temperature", "seed"})
    }


def test_a_judge_that_gives_no_marks_at_all_is_refused_before_anything_starts(tmp_path: Path) -> None:
    words = r"gave no number from 1 to 10 for 1 of 1 questions; it answered 'I cannot rate this' .*to see whether"
    with serving(lambda question: "I cannot rate this") as server, pytest.raises(UserError, match=words):
        read(tmp_path, server.url)


def test_a_judge_that_refuses_one_prompt_is_asked_about_another(tmp_path: Path) -> None:
    """In the first form again, whatever was tried on the one that it refuses."""
    rows = [{"prompt": f"{number}"} for number in range(20)]
    with serving(lambda question: "6") as server:
        first = read(tmp_path, server.url, rows=rows).rows[0].fields["prompt"]
        server.answer = lambda question: "I cannot rate this" if question.startswith(f"{first}>") else "6"
        server.bodies.clear()
        reward = read(tmp_path, server.url, rows=rows)
        assert server.bodies[0]["messages"][0]["content"].startswith(f"{first}>")
        assert "response_format" in server.bodies[-1]
        scored = reward.score(said([["x"]] * len(reward.rows)))
    assert scored.missing == 1
    assert "response_format" in server.bodies[-1]


def test_a_judge_that_refuses_every_prompt_is_refused_after_a_few(tmp_path: Path) -> None:
    rows = [{"prompt": f"{number}"} for number in range(20)]
    words = r"it answered 'no' .* prompts tried to see whether it gives marks: 3\.$"
    with serving(lambda question: "no") as server, pytest.raises(UserError, match=words):
        read(tmp_path, server.url, rows=rows)
    assert len({body["messages"][0]["content"] for body in server.bodies}) == 3


def test_a_mark_that_is_missing_is_asked_for_again_and_then_left_out(tmp_path: Path) -> None:
    rows = [{"prompt": f"{number}"} for number in range(20)]
    with serving(lambda question: "3" if question.startswith("1>") else "9" if question == "7>x" else "6") as server:
        reward = read(tmp_path, server.url, rows=rows, sampling={"n": 2})
        first = server.answer
        never = {"0>x", "0>xx", "1>x"}

        def moody(question: str) -> Any:
            last = server.bodies[-1]["messages"]
            if question in never:
                return "I cannot rate this"
            return "no" if question == "7>x" and len(last) == 1 else first(question)

        server.answer = moody
        server.bodies.clear()
        scored = reward.score(said([["x", "xx"]] * 20))
    again = [body["messages"] for body in server.bodies if len(body["messages"]) == 3]
    assert sorted(messages[0]["content"] for messages in again) == ["0>x", "0>xx", "1>x", "7>x"]
    assert all(messages[2]["content"] == "Give the mark alone: one number from 1 to 10." for messages in again)
    assert scored.missing == 3
    # Prompt 1 has the one mark it was given, and prompt 0, without any, the mean of the others.
    others = [3.0, *[6.0] * 5, 7.5, *[6.0] * 12]
    assert scored.items[1:, 0].tolist() == others
    assert scored.items[0, 0] == pytest.approx(sum(others) / 19)
    assert scored.items.mean() == pytest.approx(sum(others) / 19)


def test_too_many_missing_marks_fail_the_trial(tmp_path: Path) -> None:
    with serving(lambda question: "6") as server:
        reward = read(tmp_path, server.url, rows=[{"prompt": f"{number}"} for number in range(20)])
        server.answer = lambda question: "no" if question[:2] in ("1>", "2>", "3>") else "6"
        with pytest.raises(ScorerError, match=r"for 3 of 20 questions; it answered 'no'"):
            reward.score(said([["x"]] * 20))


@pytest.mark.parametrize("kind", ["judge", "pairwise"])
def test_check_tells_how_far_a_judge_agrees_with_itself(tmp_path: Path, kind: str) -> None:
    rows = [{"prompt": f"{number}", "reference": f"r{number}"} for number in range(30)]
    with serving(lambda question: "1") as server:
        reward = read(tmp_path, server.url, {"template": None}, kind=kind, rows=rows)
        server.bodies.clear()
        times: Counter[str] = Counter()
        moody_on = [f"\n{row.fields['reference']}\n" for row in reward.rows[:5]]

        def moody(question: str) -> str:
            times[question] += 1
            return "2" if times[question] == 2 and any(reply in question for reply in moody_on) else "1"

        server.answer = moody
        told = reward.findings()
    assert len(times) == 20
    assert set(times.values()) == {2}
    assert "asked twice about 20 replies: the same verdict on 15, 0.25 apart in the mean on a scale from 1 to" in told
