import sys
from pathlib import Path
from typing import Any

import pytest

from ama_ray.config import Report
from ama_ray.errors import UserError
from ama_ray.rewards import registry as rewards
from ama_ray.rewards.base import PreparedReward, ScorerError
from ama_ray.rewards.function import load_scorer
from tests.support.rewards import ChatWords, prepare, settings
from tests.support.words import WordTokenizer

GOOD = "return [float(len(reply)) for reply in replies]"


def read(folder: Path, body: str, **fields: Any) -> tuple[PreparedReward, PreparedReward]:
    (folder / "reward.py").write_text(f"def score(rows, replies):\n    {body}\n")
    return prepare(folder, kind="function", scorer=f"{folder}/reward.py:score", **fields)


def test_every_reply_is_scored_with_its_row(tmp_path: Path) -> None:
    body = "return [row['weight'] * len(reply) for row, reply in zip(rows, replies)]"
    search, later = read(tmp_path, body, sampling={"n": 2})
    assert search.score([["x", "xx"], ["", "xxx"]]).scores.tolist() == [[2, 4], [0, 9]]
    assert later.score([["x", "", "xx", "x"]]).scores.tolist() == [[5, 0, 10, 5]]


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
    assert {split: each.requests[0].n for split, each in prepared.items()} == {"search": 2, "report": 6}


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
        search.score([["good", ""], ["Yes.", "x"]])
    assert "reward.py:score" in str(caught.value)


def test_rows_that_only_the_report_split_has_are_tried_too(tmp_path: Path) -> None:
    body = "return [row['weight'] for row in rows]"
    with pytest.raises(UserError, match=r"raised KeyError: 'weight'"):
        read(tmp_path, body, later=[{"prompt": "no weight"}])


def test_trying_a_scorer_leaves_no_trace_in_what_is_sent(tmp_path: Path) -> None:
    body = "global calls; calls += 1; rows[0].clear(); return [float(calls)] * len(replies)\ncalls = 0"
    search, _ = read(tmp_path, body, rows=[{"prompt": "only one"}])
    assert search.rows[0].fields == {"prompt": "only one"}
    assert search.score([["x"]]).scores.tolist() == [[1.0]]


def test_scorers_of_equal_file_names_stay_apart(tmp_path: Path) -> None:
    addresses = []
    for name, value in (("one", 1.0), ("two", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "reward.py").write_text(f"VALUE = {value}\ndef score(rows, replies): return [VALUE]\n")
        addresses.append(f"{tmp_path / name}/reward.py:score")
    one, two, again = (load_scorer(address) for address in (*addresses, addresses[0]))
    assert [scorer([], []) for scorer in (one, two, again)] == [[1.0], [2.0], [1.0]]
    assert len({scorer.__module__ for scorer in (one, two, again)}) == 3
    assert Path(str(sys.modules[one.__module__].__file__)).parent.name == "one"


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
        ("reward.py:score", "import nowhere", "importing .* raised ModuleNotFoundError"),
        ("reward.py:score", "def score(:", "raised SyntaxError"),
        ("reward.py:score", "import sys; sys.exit(3)", "raised SystemExit"),
    ],
)
def test_a_scorer_that_cannot_be_imported_is_named(tmp_path: Path, scorer: str, text: str, words: str) -> None:
    (tmp_path / "reward.py").write_text(text)
    with pytest.raises(UserError, match=rf"^reward.scorer: .*{words}"):
        prepare(tmp_path, kind="function", scorer=f"{tmp_path}/{scorer}")
