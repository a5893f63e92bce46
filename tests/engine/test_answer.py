"""`Engine.answer` asks for everything in one batch, the longest replies first, and answers in the requests' order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from ama_ray.data.thinking import Thinking
from ama_ray.engine.engine import Engine
from ama_ray.engine.prefix_tree import POSITIONS, TOKENS, UNSCORED
from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Answer, Continuations, Generation, NextToken, Request
from tests.support.words import StandInEngine, WordTokenizer

if TYPE_CHECKING:
    from ama_ray.engine.requests import Finish

CHOICES = Continuations((0, 1), ((1, 2), (2,)))
LETTERS = Continuations((0, 2), ((1,), (2,)))
NEXT = NextToken((0, 1, 2))


def replied(last: int, most: int = 9, **fields: Any) -> Generation:
    return Generation((0, last), max_tokens=most, **fields)


class FakeVllm(StandInEngine):
    """Says the last token of a prompt so many times; a token has its own number as its log-probability, negated."""

    answer = Engine.answer

    def __init__(self, texts: dict[int, str] | None = None) -> None:
        tokenizer = WordTokenizer()
        tokenizer.encode("a b c")
        super().__init__(tokenizer)
        self.texts = texts or {}
        self.batches: list[list[tuple[int, ...]]] = []
        self.cached = False

    def _run(self, prompts: list[list[int]], params: list[dict[str, Any]], finished: Any = None) -> list[Answer]:
        self.batches.append([tuple(prompt) for prompt in prompts])
        answers = [self._one(*each) for each in zip(prompts, params, strict=True)]
        for number, answer in enumerate(answers):
            finished(number, answer)
        return answers

    def _one(self, prompt: list[int], fields: dict[str, Any]) -> Answer:
        if "extra_args" in fields:
            assert len(fields["extra_args"][POSITIONS]) == len(fields["extra_args"][TOKENS])
            tokens = fields["extra_args"][TOKENS]
            hidden = self.cached and not fields["skip_reading_prefix_cache"]
            return Answer([], [], [], [], None, (tokens, [UNSCORED if hidden else -float(token) for token in tokens]))
        tokens = fields.get("logprob_token_ids") or ([0, 1, 2, 3] if "logprobs" in fields else None)
        if tokens:
            tokens = tokens if "logprob_token_ids" in fields else [3, *tokens]
            return Answer([], [], [], [], (tokens, [-float(token) for token in tokens]), None)
        text = self.texts.get(prompt[-1], "a" * prompt[-1])
        cut = next((text.index(stop) for stop in fields["stop"] if stop in text), None)
        text, finish, n = text[:cut], "end" if cut is None else "stop", fields["n"]
        return Answer([text] * n, [cast("Finish", finish)] * n, [len(text)] * n, [], None, None)


def test_answers_are_in_the_order_of_the_requests() -> None:
    engine = FakeVllm()
    requests: list[Request] = [CHOICES, replied(2, n=2), LETTERS, NEXT, replied(1)]
    two, one = Reply("aa", tokens=2), Reply("a", tokens=1)
    expected = [[-3.0, -2.0], [two, two], [-1.0, -2.0], {token: -float(token) for token in range(4)}, [one]]
    assert engine.answer(requests) == expected
    # Replies, then scores, all at once; what vLLM cannot answer in the same step as chosen tokens, after them.
    assert engine.batches == [[(0, 2), (0, 1), (0, 1, 1), (0, 2)], [(0, 1, 2)]]
    assert engine.answer([]) == []
    assert len(engine.batches) == 2


def test_the_longest_replies_come_first_as_trials_before_have_shown_them() -> None:
    engine = FakeVllm()
    requests = [replied(1, most=9), replied(2, most=5), replied(3, most=7)]
    replies = engine.answer(requests)
    assert engine.answer(requests) == replies
    # At first by what is allowed, then by what was said.
    assert engine.batches == [[(0, 1), (0, 3), (0, 2)], [(0, 3), (0, 2), (0, 1)]]


def test_who_waits_for_some_replies_gets_them_before_the_rest() -> None:
    engine = FakeVllm()
    heard: list[Any] = []

    def then(replies: dict[int, list[Reply]]) -> None:
        heard.append((len(engine.batches), {place: of[0].text for place, of in replies.items()}))

    engine.answer([CHOICES, replied(1), replied(2), replied(3)], {1, 3}, then)
    assert heard == [(1, {1: "a", 3: "aaa"})]


def test_a_reply_that_has_to_be_asked_again_is_waited_for() -> None:
    engine = FakeVllm({2: "<think>a. b</think>c. d"})
    engine.cached = True
    heard: list[Any] = []
    thinking = Thinking("</think>", "<think>")
    requests: list[Request] = [
        replied(1, stop=(".",), thinking=thinking),
        replied(2, stop=(".",), thinking=thinking),
        CHOICES,
    ]
    answers = engine.answer(requests, {1}, heard.append)
    assert answers[1] == [Reply("c", "a. b", "stop", 23)]
    assert heard == [{1: answers[1]}]
    # With it go the scores that were in the cache.
    assert engine.batches[1] == [(0, 2), (0, 1, 1)]
    assert answers[2] == [-3.0, -2.0]


@pytest.mark.parametrize("requests", [[CHOICES], [replied(1)], [LETTERS, NEXT]])
def test_nobody_waits_for_nothing(requests: list[Request]) -> None:
    heard: list[Any] = []
    FakeVllm().answer(requests, (), heard.append)
    assert heard == [{}]
