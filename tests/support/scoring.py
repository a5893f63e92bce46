"""Requests whose scores transformers computes too, and an engine in a process of its own that answers them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ama_ray.config import EngineSettings
from ama_ray.engine.asking import PromptBatch, asked, ignored, scored
from ama_ray.engine.requests import Continuations, Generation
from tests.support import live_engine
from tests.support.processes import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ama_ray.engine.asking import Asking
    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Request

SPACE = "per-layer"
CONTEXT = 128

BLOCK = 32
"""Tokens in a block of the engine's prefix cache: a prompt has to be longer to hit it."""
TOLERANCE = 1e-4
END = 2


def tokens(generator: np.random.Generator, length: int) -> tuple[int, ...]:
    return tuple(generator.integers(4, 300, length).tolist())


def choices(single: bool) -> list[Continuations]:
    generator = np.random.default_rng(1 + single)
    requests = []
    # More tokens than one step of the engine takes.
    for number in range(40):
        context = tokens(generator, int(generator.integers(1, 80)))
        lengths = [1 if single else 1 + (number + i) % 4 for i in range(2 + number % 4)]
        requests.append(Continuations(context, tuple(tokens(generator, length) for length in lengths)))
    return requests


def tree() -> dict[str, list[Continuations]]:
    """Requests that share more than a context, with lengths around those of blocks."""
    generator = np.random.default_rng(3)

    def some(length: int) -> tuple[int, ...]:
        return tokens(generator, length)

    lengths = [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, 80]
    contexts = [some(length) for length in lengths]
    begun, whole, examples = some(BLOCK + 5), some(BLOCK + 8), some(2 * BLOCK + 3)
    return {
        "nothing": [],
        "long contexts": [Continuations(c, tuple(some(n) for n in (5, 13, 25, 40))) for c in contexts],
        "long common beginnings": [
            Continuations(c, tuple(begun + end for end in (some(3), some(9), some(1), ()))) for c in contexts
        ],
        "one the beginning of the other": [
            Continuations(c, tuple(whole[:length] for length in (7, len(whole), 1, 0, len(whole) - 1, 7)))
            for c in contexts
        ],
        "a context the beginning of the other": [
            Continuations(examples[:length], (examples[length : length + n], some(4), examples[length : length + 2]))
            for length, n in ((1, 50), (BLOCK, 20), (40, 1), (BLOCK, 3), (2 * BLOCK - 1, 2), (2 * BLOCK, 3))
        ],
        "the same examples in front": [
            Continuations(examples + some(n), (some(9), some(2), some(12))) for n in lengths[:5]
        ],
        "identical": [Continuations(contexts[-2], (begun, whole[:9], begun, some(1)))] * 3,
        "single tokens between": [
            Continuations(c, choices)
            for c in contexts
            for choices in ((some(12), some(6)), tuple(some(1) for _ in range(4)), (some(1), some(3)))
        ],
    }


SINGLE, SEVERAL = choices(single=True), choices(single=False)
TREE = tree()
EVERYTHING = [request for requests in TREE.values() for request in requests]
ALL = [request for both in zip(SINGLE, SEVERAL, strict=True) for request in both]
PROMPTS = [tokens(np.random.default_rng(number), 2 + number * 2) for number in range(20)]


class Live:
    """The engine in its process."""

    def __init__(self, folder: Path, kv_cache_gib: float = 1 / 32, process: OwnProcess | None = None) -> None:
        self.process = process or OwnProcess()
        settings = EngineSettings(dtype="float32", kv_cache_gib=kv_cache_gib)
        self.groups = self.process.run(live_engine.start, folder, SPACE, settings, CONTEXT)
        self.merge = dict(zip(self.groups, np.linspace(0.2, 0.9, len(self.groups)).tolist(), strict=True))
        self.base = dict.fromkeys(self.groups, 0.0)

    def swap(self, ratios: dict[str, float]) -> None:
        self.process.run(live_engine.ask, "swap", ratios)

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        answers: list[list[float]] = self.process.run(live_engine.ask, "loglikelihoods", requests)
        return answers

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        answers: list[Any] = self.process.run(live_engine.ask, "answer", requests)
        return answers

    def generate(self, requests: Sequence[Generation]) -> list[list[Reply]]:
        replies: list[list[Reply]] = self.process.run(live_engine.ask, "generate", requests)
        return replies


def in_small_steps(requests: Sequence[Continuations], most: int) -> list[list[float]]:
    """Scores with prompts in parts, as vLLM takes them on a GPU; runs in the engine's process."""
    engine = live_engine._engines[0][0]
    scheduler = engine._llm.llm_engine.engine_core.engine_core.scheduler
    with (
        changed(scheduler, max_num_scheduled_tokens=most),
        changed(scheduler.scheduler_config, enable_chunked_prefill=True),
    ):
        return engine.loglikelihoods(requests)


def vllms_own(
    prompts: Sequence[Sequence[int]], together: Sequence[Continuations]
) -> tuple[list[list[float]], list[list[float]]]:
    """What vLLM says of a prompt from its second token on, asked in one batch with log-likelihoods; and these.

    Runs in the engine's process.
    """
    engine = live_engine._engines[0][0]

    def asking() -> Asking[list[list[float]]]:
        own = [scored(prompt_logprobs=0)] * len(prompts)
        answers = yield PromptBatch([list(prompt) for prompt in prompts], own)
        return [[sum(asked(answer.prompt_logprobs)[1])] for answer in answers]

    ours, own = engine._together([engine._sums(together), asking()], ignored)
    return own, ours


@torch.no_grad()
def expected(model: Any, requests: Sequence[Continuations]) -> list[list[float]]:
    """A full forward pass per continuation."""

    def score(context: tuple[int, ...], continuation: tuple[int, ...]) -> float:
        logprobs = model(torch.tensor([context + continuation])).logits[0].double().log_softmax(-1)
        return sum(float(logprobs[len(context) - 1 + i, token]) for i, token in enumerate(continuation))

    return [[score(request.context, continuation) for continuation in request.continuations] for request in requests]


def furthest(ours: list[list[float]], theirs: list[list[float]]) -> float:
    assert [len(row) for row in ours] == [len(row) for row in theirs]
    return max(abs(a - b) for row, other in zip(ours, theirs, strict=True) for a, b in zip(row, other, strict=True))


@contextmanager
def changed(owner: Any, **attributes: Any) -> Iterator[None]:
    before = {name: getattr(owner, name) for name in attributes}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
