import json
from pathlib import Path
from typing import Any

import pytest

from ama_ray.config import Prompts, Reward, Sampling
from ama_ray.errors import UserError
from ama_ray.reward import FunctionReward, ScorerError
from tests.words import WordTokenizer


def read(folder: Path, body: str, **sampling: Any) -> FunctionReward:
    (folder / "reward.py").write_text(f"def score(rows, replies):\n    {body}\n")
    rows = [{"prompt": "a b", "weight": 2}, {"prompt": "c", "weight": 3}]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Reward(
        prompts=Prompts(file=folder / "prompts.jsonl"),
        scorer=f"{folder}/reward.py:score",
        sampling=Sampling(**sampling),
    )
    return FunctionReward.read(settings, WordTokenizer(), seed=7)


def test_every_reply_is_scored_with_its_row(tmp_path: Path) -> None:
    reward = read(tmp_path, "return [row['weight'] * len(reply) for row, reply in zip(rows, replies)]", n=2)
    assert reward.scores([["x", "xx"], ["", "xxx"]]).tolist() == [[2, 4], [0, 9]]


def test_requests_repeat_with_the_seed_and_differ_between_prompts(tmp_path: Path) -> None:
    first, again = (read(tmp_path, "return []", n=3, max_tokens=9, temperature=0.5).requests for _ in range(2))
    assert first == again
    # vLLM samples reply i of a request with the request's seed + i.
    seeds = [request.seed + reply for request in first for reply in range(request.n)]
    assert len(set(seeds)) == len(seeds)
    assert (first[0].n, first[0].max_tokens, first[0].temperature) == (3, 9, 0.5)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('tone')", "raised KeyError: 'tone'"),
        ("return [1.0]", "1 scores for 2 replies"),
        ("return [1.0, float('nan')]", "returned nan for the reply 'y'"),
        ("return [1.0, float('inf')]", "returned inf"),
        ("return [1.0, 'good']", "list of numbers"),
        ("return None", "list of numbers"),
        ("return 3", "list of numbers"),
        ("return [[1.0], [2.0]]", "list of numbers"),
    ],
)
def test_a_scorer_that_fails_is_named(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(ScorerError, match=words) as caught:
        read(tmp_path, body).scores([["x"], ["y"]])
    assert "reward.py:score" in str(caught.value)


def test_a_prompt_without_tokens_is_named(tmp_path: Path) -> None:
    class NoStartToken(WordTokenizer):
        def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
            return super().encode(text, add_special_tokens=False)

    (tmp_path / "reward.py").write_text("def score(rows, replies): return []")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": " "}\n')
    settings = Reward(prompts=Prompts(file=tmp_path / "prompts.jsonl"), scorer=f"{tmp_path}/reward.py:score")
    with pytest.raises(UserError, match=r"prompts.jsonl, row 2: the prompt has no tokens"):
        FunctionReward.read(settings, NoStartToken(), seed=0)


@pytest.mark.parametrize(
    ("scorer", "text", "words"),
    [
        ("none.py:score", "", "there is no file"),
        ("reward.py:other", "score = 1", "no function 'other'"),
        ("reward.py:score", "score = 1", "no function 'score'"),
        ("reward.py:score", "import nowhere", "importing .* raised ModuleNotFoundError"),
        ("reward.py:score", "def score(:", "raised SyntaxError"),
    ],
)
def test_a_scorer_that_cannot_be_imported_is_named(tmp_path: Path, scorer: str, text: str, words: str) -> None:
    (tmp_path / "reward.py").write_text(text)
    settings = Reward(prompts=Prompts(file=tmp_path / "p.jsonl"), scorer=f"{tmp_path}/{scorer}")
    with pytest.raises(UserError, match=words):
        FunctionReward.read(settings, WordTokenizer(), seed=0)
