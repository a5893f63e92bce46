"""A tokenizer and a stand-in engine for tests of what lies between the two; the real ones meet in the engine tests."""

import math
from collections.abc import Sequence
from typing import Any

from ama_ray.engine.engine import Engine
from ama_ray.engine.openai_address import OpenAIAddress
from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Answer, Continuations, Generation, NextToken, Request


class WordTokenizer:
    """One token per word and space-separated mark, `<s>` (0) in front; remembers the words it saw."""

    chat_template: str | None = None
    all_special_tokens: list[str] = []  # noqa: RUF012

    def get_added_vocab(self) -> dict[str, int]:
        return {}

    def __init__(self) -> None:
        self.words = ["<s>"]

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        for word in text.split():
            if word not in self.words:
                self.words.append(word)
        return [0] * add_special_tokens + [self.words.index(word) for word in text.split()]

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, **kwargs: Any
    ) -> str:
        raise NotImplementedError("this tokenizer has no chat template")


class StandInEngine(Engine):
    """Answers every generation with the prompt's last word, and likes later tokens of the vocabulary better."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._words = tokenizer.words

    def _run(self, prompts: list[list[int]], params: list[dict[str, Any]], finished: Any = None) -> list[Answer]:
        raise NotImplementedError("there is no vLLM behind it")

    def call_workers(self, method: str, *args: Any) -> list[Any]:
        raise NotImplementedError("there is no vLLM behind it")

    def serve(self, work: Any, ends: Sequence[int]) -> Any:
        return work(OpenAIAddress("http://127.0.0.1:9/v1", "point", "the-key"))

    def _empty_cache(self) -> bool:
        return True

    @property
    def _dtype(self) -> str:
        return "float32"

    @property
    def _vocabulary_size(self) -> int:
        return len(self._words)

    def answer(self, requests: Sequence[Request], first: Any = (), then: Any = lambda replies: None) -> list[Any]:
        methods = {Generation: self.generate, Continuations: self.loglikelihoods, NextToken: self.next_tokens}
        answers = [methods[type(request)]([request])[0] for request in requests]  # type: ignore[operator]
        then({place: answers[place] for place in first})
        return answers

    def generate(self, requests: Sequence[Generation]) -> list[list[Reply]]:
        return [[Reply(f" {self._words[request.prompt[-1]]}\n", tokens=2)] * request.n for request in requests]

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        return [[float(sum(c)) for c in request.continuations] for request in requests]

    def next_tokens(self, requests: Sequence[NextToken]) -> list[dict[int, float]]:
        tokens = self._vocabulary_size
        return [dict.fromkeys(range(tokens), -math.log(tokens)) for _ in requests]
