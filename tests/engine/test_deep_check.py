from pathlib import Path
from typing import Any

import pytest

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import DeepCheckCache, Outputs
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import make_pair

FLOAT32 = EngineSettings(dtype="float32")


def outputs(shift: float = 0.0, other_token: int | None = None) -> Outputs:
    result = [[(token, -1.0 + shift) for token in range(8)] for _ in range(deep_check.PROMPTS)]
    if other_token is not None:
        result[3][5] = (other_token, -1.0)
    return result


def test_equal_outputs_pass() -> None:
    verdict = deep_check.compare(outputs(), outputs(shift=5e-5), FLOAT32)
    assert verdict.passed
    assert verdict.equal_prompts == deep_check.PROMPTS
    assert verdict.largest_difference == pytest.approx(5e-5)


def test_one_other_token_or_a_shifted_probability_does_not_pass() -> None:
    assert not deep_check.compare(outputs(), outputs(other_token=99), FLOAT32).passed
    assert not deep_check.compare(outputs(), outputs(shift=2e-4), FLOAT32).passed
    assert deep_check.compare(outputs(), outputs(shift=2e-4), EngineSettings(dtype="bfloat16")).passed


def test_the_checked_ratios_differ_between_groups() -> None:
    assert deep_check.check_ratios(["a"]) == {"a": 0.5}
    assert deep_check.check_ratios(["a", "b", "c"]) == {"a": 0.25, "b": 0.5, "c": 0.75}


def test_a_refusal_names_architecture_precision_and_what_was_seen(tmp_path: Path) -> None:
    pair = Pair.open(*map(str, make_pair(tmp_path)))
    sentence = str(deep_check.refusal(deep_check.compare(outputs(), outputs(0.5, 99), FLOAT32), pair, FLOAT32))
    for words in ("LlamaForCausalLM", "float32", "15 of 16", "0.5", str(pair.aligned.folder)):
        assert words in sentence


def test_a_verdict_is_known_again_for_the_same_shape_and_engine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    verdict = deep_check.compare(outputs(), outputs(), FLOAT32)

    def cache(
        folder: str = "a",
        settings: EngineSettings = FLOAT32,
        on_gpu: bool = False,
        space: str = "per-layer",
        **shape: Any,
    ) -> DeepCheckCache:
        pair = Pair.open(*map(str, make_pair(tmp_path / folder, **shape)))
        return DeepCheckCache(pair, SearchSpace.load(space).resolve(pair.names), settings, on_gpu=on_gpu)

    assert cache().read() is None
    cache().write(verdict)
    known = cache("other-weights", seed=5).read()
    assert known is not None
    assert (known.passed, known.equal_prompts, known.cached) == (True, deep_check.PROMPTS, True)
    assert cache(settings=EngineSettings(dtype="bfloat16")).read() is None
    assert cache(settings=EngineSettings(dtype="float32", enforce_eager=False)).read() is None
    assert cache(on_gpu=True).read() is None
    assert cache(space="attention-mlp").read() is None
    assert cache("deeper", layers=5).read() is None
    failed = cache("failed", layers=3)
    failed.write(deep_check.compare(outputs(), outputs(0.5), FLOAT32))
    assert failed.read() is None
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text("{")
    assert cache().read() is None
