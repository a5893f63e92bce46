"""Arguments of vLLM that a run file may name: all that vLLM has, but those that something here depends on."""

from __future__ import annotations

from typing import Any

_FIELDS = {
    "dtype": "engine.dtype",
    "enforce_eager": "engine.enforce_eager",
    "gpu_memory_utilization": "engine.gpu_memory_utilization",
    "kv_cache_dtype": "engine.kv_cache_dtype",
    "kv_cache_memory_bytes": "engine.kv_cache_gib",
    "max_model_len": "engine.max_model_len",
    "max_num_seqs": "engine.max_num_seqs",
    "tensor_parallel_size": "engine.gpus",
}
"""Arguments that have a field of their own."""
QUANTISED = (
    "vLLM scales and rounds every merge anew when it loads it, so a swap could neither write it in place nor be "
    "verified; kv_cache_dtype: fp8 halves the KV cache"
)
"""Why no engine has quantised weights."""
_REASONS = {
    "the run file names the model": (
        *("model", "model_weights", "served_model_name", "tokenizer", "tokenizer_mode", "tokenizer_revision"),
        *("revision", "code_revision", "config_format", "hf_config_path", "hf_overrides", "model_class_overrides"),
        *("model_impl", "download_dir", "ignore_patterns", "language_model_only"),
    ),
    "no code of a checkpoint is run": ("trust_remote_code",),
    QUANTISED: ("quantization", "quantization_config", "allow_deprecated_quantization"),
    "a swap writes every weight where vLLM has it when it loads it from a checkpoint": (
        *("load_format", "model_loader_extra_config", "pt_load_map_location"),
        *("cpu_offload_gb", "cpu_offload_params", "enable_sleep_mode"),
        *("enable_cumem_allocator", "weight_transfer_config", "worker_cls", "worker_extension_cls"),
        *("enable_eplb", "eplb_config", "enable_ep_weight_filter"),
    ),
    "a swap does not reach the weights of a second model": ("speculative_config",),
    "it decides on how many processes the weights lie, and where": (
        *("distributed_executor_backend", "enable_expert_parallel", "enable_elastic_ep", "nnodes", "node_rank"),
        *("master_addr", "master_port", "device_ids", "numa_bind"),
    ),
    "several GPUs share an engine by tensor parallelism only (engine.gpus)": ("pipeline_parallel_size",),
    "scores depend on it, and it is the same for every trial": (
        *("seed", "max_logprobs", "logprobs_mode", "logits_processors", "enable_prefix_caching", "runner", "convert"),
        *("skip_tokenizer_init", "scheduler_cls", "generation_config", "override_generation_config"),
    ),
}
_FAMILIES = {
    "it decides on how many processes the weights lie, and where": ("data_parallel_", "prefill_context_", "decode_"),
    "a swap writes every weight where vLLM has it when it loads it from a checkpoint": ("offload_",),
    "a swap does not reach the weights of a second model": ("spec_", "lora_", "max_lora", "default_mm_lora"),
    "it is not of the engine itself": ("_",),
}
"""The same for arguments whose names begin so."""
_LORA = ("enable_lora", "fully_sharded_loras", "max_cpu_loras", "specialize_active_lora", "enable_tower_connector_lora")


def only_free(arguments: dict[str, Any]) -> dict[str, Any]:
    """Refuses arguments that the swap, or what is scored, depends on.

    Whether vLLM has an argument at all is known where vLLM is (`ama_ray.engine.arguments`).

    Raises:
        ValueError: Names the first of them, with the reason.
    """
    for name in arguments:
        if name in _FIELDS:
            raise ValueError(f"{name} has a field of its own: {_FIELDS[name]}")
        if reason := _reason(name):
            raise ValueError(f"{name} cannot be set: {reason}")
    return arguments


def _reason(name: str) -> str:
    if name in _LORA:
        return "a swap does not reach the weights of a second model"
    exact = (reason for reason, names in _REASONS.items() if name in names)
    family = (reason for reason, starts in _FAMILIES.items() if name.startswith(starts))
    return next(exact, "") or next(family, "")
