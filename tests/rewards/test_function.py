import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ama_ray.config import Report
from ama_ray.engine.replies import Reply
from ama_ray.errors import UserError
from ama_ray.processes.worker import end_workers
from ama_ray.rewards import registry as rewards
from ama_ray.rewards.base import PreparedReward, ScorerError
from tests.support.replies import said
from tests.support.rewards import ChatWords, prepare, settings
from tests.support.words import WordTokenizer


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()


GOOD = "return [float(len(reply)) for reply in replies]"


def read(folder: Path, body: str, **fields: Any) -> tuple[PreparedReward, PreparedReward]:
    (folder / "reward.py").write_text(f"def score(rows, replies):\n    {body}\n")
    return prepare(folder, kind="function", scorer=f"{folder}/reward.py:score", **fields)


def test_every_reply_is_scored_with_its_row(tmp_path: Path) -> None:
    body = "return [row['weight'] * len(reply) for row, reply in zip(rows, replies)]"
    search, later = read(tmp_path, body, sampling={"n": 2})
    assert search.score(said([["x", "xx"], ["", "xxx"]])).scores.tolist() == [[2, 4], [0, 9]]
    assert later.score(said([["x", "", "xx", "x"]])).scores.tolist() == [[5, 0, 10, 5]]


def test_requests_repeat_with_the_seed_and_differ_between_prompts(tmp_path: Path) -> None:
    sampling = {"n": 3, "max_tokens": 9, "temperature": 0.5}
    first, again = (read(tmp_path, GOOD, sampling=sampling)[0].requests for _ in range(2))
    assert first == again
    # vLLM samples reply i of a request with the request's seed + i.
    seeds = [request.seed + reply for request in first for reply in range(request.n)]
    assert len(set(seeds)) == len(seeds)
    assert (first[0].n, first[0].max_tokens, first[0].temperature) == (3, 9, 0.5)


def test_the_report_split_has_more_replies(tmp_path: Path) -> None:
    reward = settings(tmp_path, kind="function", scorer=f"{tmp_path}/reward.py:score", sampling={"n": 2})
    (tmp_path / "reward.py").write_text(f"def score(rows, replies):\n    {GOOD}\n")
    prepared = rewards.prepare(reward, ChatWords(), 0, Report(samples=3))
    assert {split: each.requests[0].n for split, each in prepared.items()} == {"search": 2, "trade": 2, "report": 6}


BAD = [
    ("raise KeyError('tone')", "raised KeyError: 'tone'"),
    ("return [1.0]", "1 scores for 4 replies"),
    ("return [1.0, float('nan'), 1.0, 1.0]", "returned nan for the reply ''"),
    ("return [1.0, 1.0, float('inf'), 1.0]", "returned inf for the reply 'Yes.'"),
    ("return [1.0, 'good', 1.0, 1.0]", "list of numbers"),
    ("return None", "list of numbers"),
    ("return 3", "list of numbers"),
    ("return [[1.0], [2.0]]", "list of numbers"),
]


@pytest.mark.parametrize(("body", "words"), BAD)
def test_a_scorer_that_fails_is_refused_before_anything_starts(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path, body)
    assert "reward.scorer: the scorer" in str(caught.value)
    assert "reward.py:score" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("body", "words"), BAD)
def test_a_scorer_that_fails_later_is_named(tmp_path: Path, body: str, words: str) -> None:
    search, _ = read(tmp_path, f"{GOOD} if replies[0] == 'Yes.' else later()\ndef later():\n    {body}")
    with pytest.raises(ScorerError, match=words) as caught:
        search.score(said([["good", ""], ["Yes.", "x"]]))
    assert "reward.py:score" in str(caught.value)


def test_rows_that_only_the_report_split_has_are_tried_too(tmp_path: Path) -> None:
    body = "return [row['weight'] for row in rows]"
    with pytest.raises(UserError, match=r"raised KeyError: 'weight'"):
        read(tmp_path, body, later=[{"prompt": "no weight"}])


def test_trying_a_scorer_leaves_no_trace_in_what_is_sent(tmp_path: Path) -> None:
    body = "global calls; calls += 1; rows[0].clear(); return [float(calls)] * len(replies)\ncalls = 0"
    search, _ = read(tmp_path, body, rows=[{"prompt": "only one"}])
    assert search.rows[0].fields == {"prompt": "only one"}
    assert search.score(said([["x"]])).scores.tolist() == [[1.0]]


def test_a_scorer_arrives_where_its_file_is_not(tmp_path: Path) -> None:
    search, _ = read(tmp_path, GOOD)
    (tmp_path / "reward.py").unlink()
    sent = pickle.loads(pickle.dumps(search))
    assert sent.score(said([["x"], ["xx"]])).scores.tolist() == [[1], [2]]


def test_a_scorer_has_the_time_that_the_run_file_gives_it(tmp_path: Path) -> None:
    search, _ = read(tmp_path, f"if 'slow' in replies: import time; time.sleep(60)\n    {GOOD}", timeout=0.5)
    with pytest.raises(ScorerError, match=r"^the scorer .*reward.py:score did not return within 0.5 s$"):
        search.score(said([["slow"], ["x"]]))
    assert search.score(said([["x"], ["xx"]])).scores.tolist() == [[1], [2]]


def test_greedy_replies_to_a_prompt_are_one(tmp_path: Path) -> None:
    """All would be the same, and vLLM refuses to generate them."""
    for prepared in read(tmp_path, GOOD, sampling={"temperature": 0, "n": 3}):
        assert {request.n for request in prepared.requests} == {1}


def test_messages_without_a_chat_template_are_told_what_they_need(tmp_path: Path) -> None:
    rows = [{"prompt": "a"}, {"prompt": [{"role": "user", "content": "b"}]}]
    with pytest.raises(UserError, match=r"prompts.jsonl, line 2: .* a list of messages needs `chat: true`"):
        read(tmp_path, GOOD, rows=rows)


def test_a_prompt_without_tokens_is_named(tmp_path: Path) -> None:
    class NoStartToken(WordTokenizer):
        def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
            return super().encode(text, add_special_tokens=False)

    (tmp_path / "reward.py").write_text("def score(rows, replies): return []")
    rows = [{"prompt": "a"}, {"prompt": " "}]
    reward = settings(tmp_path, rows=rows, kind="function", scorer=f"{tmp_path}/reward.py:score")
    with pytest.raises(UserError, match=r"prompts.jsonl, line 2: the prompt has no tokens"):
        rewards.prepare(reward, NoStartToken(), 0, Report())


@pytest.mark.parametrize(
    ("scorer", "text", "words"),
    [
        ("none.py:score", "", "there is no file"),
        ("reward.py:other", "score = 1", "no function 'other'"),
        ("reward.py:score", "score = 1", "no function 'score'"),
        ("reward.py:score", "import nowhere", "cannot be imported: its file raised ModuleNotFoundError"),
        ("reward.py:score", "def score(:", "raised SyntaxError"),
        ("reward.py:score", "import sys; sys.exit(3)", "its file called sys.exit"),
    ],
)
def test_a_scorer_that_cannot_be_imported_is_named(tmp_path: Path, scorer: str, text: str, words: str) -> None:
    (tmp_path / "reward.py").write_text(text)
    with pytest.raises(UserError, match=rf"^reward.scorer: .*{words}"):
        prepare(tmp_path, kind="function", scorer=f"{tmp_path}/{scorer}")


@pytest.mark.parametrize("annotation", ["list[Reply]", "'list[Reply]'", "Sequence[Reply]"])
def test_a_scorer_that_asks_for_replies_gets_them(tmp_path: Path, annotation: str) -> None:
    (tmp_path / "reward.py").write_text(
        "from collections.abc import Sequence\nfrom ama_ray import Reply\n"
        f"def score(rows, replies: {annotation}):\n    return [reply.tokens - 5 * reply.cut_off for reply in replies]\n"
    )
    search, _ = prepare(tmp_path, kind="function", scorer=f"{tmp_path}/reward.py:score")
    replies = [[Reply("x", tokens=7)], [Reply("", "hm", "length", 9, cut_off=True)]]
    assert search.score(replies).scores.tolist() == [[7], [4]]


def test_a_greedy_reward_has_one_reply_on_both_splits(tmp_path: Path) -> None:
    search, later = read(tmp_path, GOOD, sampling={"temperature": 0, "n": 3})
    assert {request.n for each in (search, later) for request in each.requests} == {1}


def test_requests_are_drawn_as_the_run_file_says(tmp_path: Path) -> None:
    drawn = {"top_p": 0.9, "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1, "stop_token_ids": [5], "stop": ["."]}
    search, _ = read(tmp_path, GOOD, sampling=drawn | {"seed": 2})
    for request in search.requests:
        assert {name: getattr(request, name) for name in drawn} == drawn | {"stop_token_ids": (5,), "stop": (".",)}
    # The seed of the run does not count where there is one here.
    assert search.requests == read(tmp_path, GOOD, seed=8, sampling=drawn | {"seed": 2})[0].requests
