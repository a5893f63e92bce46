"""What vLLM is started with. Only one test imports vLLM, in a process of its own, as that alters transformers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings, vllm_arguments
from ama_ray.engine import arguments
from ama_ray.engine.arguments import STREAMED, check_arguments, check_ranks, engine_arguments, pair_arguments
from ama_ray.errors import UserError
from testing.checkpoints import make_pair
from tests.support.processes import in_own_process

SET: dict[str, Any] = {"kv_cache_dtype": "fp8", "max_num_seqs": 7, "vllm": {"max_num_batched_tokens": 512}}


@pytest.mark.parametrize("gpu", [False, True])
def test_what_the_user_sets_reaches_vllm(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(arguments, "is_recurrent", lambda folder: False)
    monkeypatch.setattr(arguments, "has_latent_attention", lambda folder: False)
    asked = engine_arguments(Path(), EngineSettings(**SET), 64)
    assert (asked["kv_cache_dtype"], asked["max_num_seqs"], asked["max_num_batched_tokens"]) == ("fp8", 7, 512)
    plain = engine_arguments(Path(), EngineSettings(), 64)
    assert plain["kv_cache_dtype"] == "auto"
    assert "max_num_seqs" not in plain
    assert ("max_num_batched_tokens" in plain) == (not gpu)


@pytest.mark.parametrize("gpu", [False, True])
def test_several_gpus_share_an_engine_by_processes_that_vllm_starts_itself(
    gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(arguments, "is_recurrent", lambda folder: False)
    monkeypatch.setattr(arguments, "has_latent_attention", lambda folder: False)
    four, one = (engine_arguments(Path(), EngineSettings(gpus=gpus), 64) for gpus in (4, 1))
    assert (four["tensor_parallel_size"], four["distributed_executor_backend"]) == (4, "mp")
    assert one == engine_arguments(Path(), EngineSettings(gpus=0), 64) == engine_arguments(Path(), EngineSettings(), 64)
    assert not {"tensor_parallel_size", "distributed_executor_backend"} & one.keys()
    if not gpu:
        assert 4 * four["kv_cache_memory_bytes"] == one["kv_cache_memory_bytes"]


@pytest.mark.parametrize(
    ("heads", "keys", "gpus", "fits"),
    [
        *((32, 8, 4, True), (32, 8, 16, True), (64, 8, 8, True), (12, 2, 4, True), (2, 1, 2, True), (9, 3, 1, True)),
        *((32, 8, 3, False), (14, 2, 4, False), (24, 6, 4, False), (9, 3, 2, False)),
    ],
)
def test_heads_that_gpus_cannot_share_are_refused(heads: int, keys: int, gpus: int, fits: bool) -> None:
    folder = SimpleNamespace(folder="my/aligned")
    pair: Any = SimpleNamespace(config={"num_attention_heads": heads, "num_key_value_heads": keys}, aligned=folder)
    if fits:
        check_ranks(EngineSettings(gpus=gpus), pair)
    else:
        with pytest.raises(
            UserError, match=rf"engine\.gpus: {gpus} GPUs .*my/aligned, with its {heads} heads and {keys} "
        ):
            check_ranks(EngineSettings(gpus=gpus), pair)


@pytest.mark.parametrize("recurrent", [False, True])
def test_on_a_cpu_a_state_is_not_cached(recurrent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM would cache it between parts of a prompt, which seeded sampling cannot have there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(arguments, "is_recurrent", lambda folder: recurrent)
    monkeypatch.setattr(arguments, "has_latent_attention", lambda folder: False)
    asked = engine_arguments(Path(), EngineSettings(), 64)
    assert (asked["enable_prefix_caching"], asked["enable_chunked_prefill"]) == (not recurrent, False)


def test_a_pair_that_is_converted_is_streamed(tmp_path: Path) -> None:
    base, aligned = map(str, make_pair(tmp_path, layers=1))
    assert pair_arguments(Pair.read(base, aligned)) == {"tokenizer": aligned}
    asked = pair_arguments(Pair.read(base, aligned, "bfloat16"))
    sources = {"base": base, "aligned": [aligned], "delta": None}
    assert asked == {"tokenizer": aligned, "load_format": STREAMED, "model_loader_extra_config": sources}


def checked(names: list[str]) -> list[str]:
    """The sentences about arguments, each alone."""
    sentences = []
    for name in names:
        try:
            check_arguments(EngineSettings(vllm={name: 1}))
            sentences.append("")
        except UserError as error:
            sentences.append(str(error))
    return sentences


def known_names(folder: Path) -> tuple[list[str], set[str]]:
    """What vLLM has, and what ama_ray sets or refuses by name."""
    from vllm.engine.arg_utils import EngineArgs

    refused = {*vllm_arguments._FIELDS, *(name for names in vllm_arguments._REASONS.values() for name in names)}
    return [field.name for field in fields(EngineArgs)], refused | {*engine_arguments(folder, EngineSettings(), 64)}


@pytest.mark.long
def test_what_vllm_has_not_is_refused_with_what_it_has() -> None:
    fine, wrong, strange = in_own_process(checked, ["max_num_batched_tokens", "max_num_batch_tokens", "colour"])
    assert fine == ""
    assert wrong == (
        "engine.vllm.max_num_batch_tokens: the installed vLLM has no such argument; did you mean "
        "max_num_batched_tokens?"
    )
    assert strange == "engine.vllm.colour: the installed vLLM has no such argument."


@pytest.mark.long
def test_what_is_refused_or_set_is_what_vllm_has(tmp_path: Path) -> None:
    """A name that vLLM gives up would be refused for nothing, and its new name let pass."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    known, ours = in_own_process(known_names, tmp_path)
    assert ours <= set(known)


def test_nothing_is_imported_where_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "did_you_mean", None)
    check_arguments(EngineSettings())
