"""`Engine.answer` asks for each sort of request once, and gives the answers in the order of the requests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Continuations, Generation, NextToken
from tests.support.words import StandInEngine, WordTokenizer

if TYPE_CHECKING:
    import pytest


def test_answers_are_in_the_order_of_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = WordTokenizer()
    tokenizer.encode("a b")
    engine = StandInEngine(tokenizer)
    calls: list[tuple[str, int]] = []

    def noted(name: str, method: Any, requests: Any) -> Any:
        calls.append((name, len(requests)))
        return method(requests)

    for name in ("generate", "loglikelihoods", "next_tokens"):
        monkeypatch.setattr(engine, name, partial(noted, name, getattr(engine, name)))
    requests: list[Any] = [
        Continuations((0,), ((1,), (2,))),
        Generation((0, 2), max_tokens=1, n=2),
        Continuations((0,), ((1, 2),)),
        Generation((0, 1), max_tokens=1),
    ]
    b, a = Reply(" b\n", tokens=2), Reply(" a\n", tokens=2)
    assert engine.answer(requests) == [[1.0, 2.0], [b, b], [3.0], [a]]
    # There is no batch of a sort that nobody asks for.
    assert calls == [("generate", 2), ("loglikelihoods", 2)]
    assert [len(answer) for answer in engine.answer([NextToken((0,))])] == [3]
    assert engine.answer([]) == []
