"""What a run file may pass to vLLM: nothing that the swap or the scores depend on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ama_ray.config import EngineSettings


def test_what_is_free_is_taken() -> None:
    arguments = {"max_num_batched_tokens": 4096, "attention_backend": "TRITON_ATTN", "async_scheduling": False}
    assert EngineSettings(vllm=arguments).vllm == arguments


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("quantization", "vLLM scales and rounds every merge anew when it loads it"),
        ("load_format", "a swap writes every weight where vLLM has it"),
        ("offload_group_size", "a swap writes every weight where vLLM has it"),
        ("worker_extension_cls", "a swap writes every weight where vLLM has it"),
        ("enable_lora", "a swap does not reach the weights of a second model"),
        ("speculative_config", "a swap does not reach the weights of a second model"),
        ("spec_model", "a swap does not reach the weights of a second model"),
        ("distributed_executor_backend", "on how many processes the weights lie"),
        ("pipeline_parallel_size", r"by tensor parallelism only \(engine\.gpus\)"),
        ("data_parallel_size", "on how many processes the weights lie"),
        ("enable_prefix_caching", "scores depend on it"),
        ("logprobs_mode", "scores depend on it"),
        ("seed", "scores depend on it"),
        ("trust_remote_code", "no code of a checkpoint is run"),
        ("model", "the run file names the model"),
        ("gpu_memory_utilization", r"has a field of its own: engine\.gpu_memory_utilization"),
        ("tensor_parallel_size", r"has a field of its own: engine\.gpus"),
        ("kv_cache_memory_bytes", r"has a field of its own: engine\.kv_cache_gib"),
    ],
)
def test_what_something_depends_on_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=rf"{name} .*{reason}"):
        EngineSettings(vllm={"max_num_batched_tokens": 4096, name: 1})


def test_online_quantisation_is_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match="quantization cannot be set: vLLM scales and rounds every merge anew"):
        EngineSettings.model_validate({"quantization": "fp8"})


def test_every_field_that_is_vllm_s_too_is_refused_beside_it() -> None:
    """Else one of two values would be taken without a word."""
    for name in EngineSettings.model_fields.keys() & {"dtype", "enforce_eager", "kv_cache_dtype", "max_num_seqs"}:
        with pytest.raises(ValidationError, match="has a field of its own"):
            EngineSettings.model_validate({"vllm": {name: "auto"}})
