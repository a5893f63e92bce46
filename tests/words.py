"""A tokenizer and a stand-in engine for tests of what lies between the two; the real ones meet in the engine tests."""

from collections.abc import Sequence

from ama_ray.engine.requests import Continuations, Generation


class WordTokenizer:
    """One token per word and space-separated mark, `<s>` (0) in front; remembers the words it saw."""

    def __init__(self) -> None:
        self.words = ["<s>"]

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        for word in text.split():
            if word not in self.words:
                self.words.append(word)
        return [0] * add_special_tokens + [self.words.index(word) for word in text.split()]


class StandInEngine:
    """Answers every generation with the prompt's last word, and likes later tokens of the vocabulary better."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._words = tokenizer.words

    def generate(self, requests: Sequence[Generation]) -> list[list[str]]:
        return [[f" {self._words[request.prompt[-1]]}\n"] * request.n for request in requests]

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        return [[float(sum(c)) for c in request.continuations] for request in requests]
