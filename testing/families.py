"""Families of models, each as the smallest shape that has all of its kinds of layers."""

from typing import Any

from testing.family import Family

_PLAIN: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 128,
}
_EXPERTS = _PLAIN | {"moe_intermediate_size": 32, "num_experts_per_tok": 2, "num_experts": 4}
_LATENT: dict[str, Any] = {
    "kv_lora_rank": 512,
    "q_lora_rank": 32,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 64,
    "v_head_dim": 32,
    "num_key_value_heads": 2,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
}
_CORRECTED: dict[str, Any] = {"topk_method": "noaux_tc", "scoring_func": "sigmoid"}
"""Routers with a correction of their scores; transformers knows these families without the two fields."""
_GATED_DELTA: dict[str, Any] = {
    "linear_key_head_dim": 64,
    "linear_value_head_dim": 64,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"],
}
_MAMBA: dict[str, Any] = {
    "mamba_n_heads": 4,
    "mamba_d_head": 32,
    "mamba_d_state": 16,
    "mamba_expand": 2,
    "mamba_chunk_size": 32,
    "time_step_limit": (0.0, float("inf")),
}
_SLIDING: dict[str, Any] = {"layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": 16}
_FEW_EXPERTS: dict[str, Any] = {"num_local_experts": 4, "num_experts_per_tok": 2}
LLAMA_4: dict[str, Any] = {
    "intermediate_size_mlp": 96,
    "num_local_experts": 4,
    "num_experts_per_tok": 1,
    "interleave_moe_layer_step": 2,
    "attention_chunk_size": 64,
}
_CONVOLUTION: dict[str, Any] = {
    "layer_types": ["conv", "full_attention"] * 2,
    # transformers knows these families without the following.
    "block_dim": 64,
    "conv_dim": 64,
    "conv_dim_out": 64,
}
_FLOAT32_STATES = ("A_log", "norm", "dt_bias")

FAMILIES = {
    "Apertus": Family("apertus", _PLAIN, without=("head_dim",)),
    "Arcee": Family("arcee", _PLAIN),
    "Cohere 2": Family("cohere2", _PLAIN | _SLIDING, ("head_dim",), tied=True),
    "DeepSeek V2": Family(
        "deepseek_v2", _EXPERTS | _LATENT | {"first_k_dense_replace": 1}, ("num_experts", "head_dim")
    ),
    "DeepSeek V3": Family(
        "deepseek_v3",
        _EXPERTS | _LATENT | {"first_k_dense_replace": 1, "num_mtp_layers": 0} | _CORRECTED,
        ("num_experts", "head_dim"),
        in_float32=("e_score_correction_bias",),
    ),
    "ERNIE 4.5": Family("ernie4_5", _PLAIN, tied=True),
    "ERNIE 4.5 MoE": Family(
        "ernie4_5_moe",
        _PLAIN | {"moe_intermediate_size": 32, "moe_k": 2, "moe_num_experts": 4, "moe_num_shared_experts": 1},
        ("head_dim",),
        tied=True,
    ),
    "EXAONE 4": Family("exaone4", _PLAIN | _SLIDING, ("head_dim",)),
    "Falcon-H1": Family("falcon_h1", _PLAIN | _MAMBA | {"mamba_d_ssm": 128, "mamba_n_groups": 1}, ("head_dim",)),
    "Gemma 3": Family(
        "gemma3_text",
        _PLAIN | _SLIDING | {"query_pre_attn_scalar": 32},
        tied=True,
    ),
    "Gemma 3n": Family(
        "gemma3n_text",
        _PLAIN
        | {
            "hidden_size_per_layer_input": 32,
            "vocab_size_per_layer_input": 300,
            "num_kv_shared_layers": 2,
            "laurel_rank": 8,
        }
        | _SLIDING,
        tied=True,
    ),
    "Gemma 4": Family(
        "gemma4_text",
        _PLAIN
        | {
            "global_head_dim": 32,
            "hidden_size_per_layer_input": 32,
            "vocab_size_per_layer_input": 300,
        }
        | _SLIDING,
        tied=True,
    ),
    "Gemma 4 MoE": Family(
        "gemma4_text",
        _PLAIN
        | {
            "global_head_dim": 32,
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
        }
        | _SLIDING,
        tied=True,
    ),
    "GLM-4": Family("glm4", _PLAIN),
    "GLM-4.5 MoE": Family(
        "glm4_moe",
        _EXPERTS
        | {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1, "use_qk_norm": True}
        | {"num_mtp_layers": 0},
        ("num_experts",),
        in_float32=("e_score_correction_bias",),
    ),
    "GLM-4.7 Flash": Family(
        "glm4_moe_lite",
        _EXPERTS
        | _LATENT
        | _CORRECTED
        | {"mlp_layer_types": ["dense", "sparse", "sparse", "sparse"], "first_k_dense_replace": 1},
        ("num_experts", "head_dim"),
    ),
    "gpt-oss": Family(
        "gpt_oss",
        _PLAIN | _SLIDING | _FEW_EXPERTS,
    ),
    "Granite": Family("granite", _PLAIN, ("head_dim",)),
    "Granite 4": Family(
        "granitemoehybrid",
        _PLAIN
        | _MAMBA
        | {
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 64,
            "layer_types": ["mamba", "attention"] * 2,
            "mamba_n_groups": 1,
            "intermediate_size": 32,
        },
        ("head_dim",),
        tied=True,
    ),
    "Granite MoE": Family(
        "granitemoe",
        _PLAIN | {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 32},
        ("head_dim",),
        tied=True,
    ),
    "Hunyuan": Family("hunyuan_v1_dense", _PLAIN, tied=True),
    "Hunyuan MoE": Family("hunyuan_v1_moe", _PLAIN | {"num_experts": 4, "moe_topk": 2}, tied=True),
    "Kimi Linear": Family(
        "kimi_linear",
        _EXPERTS
        | _LATENT
        | {
            "num_local_experts": 4,
            "q_lora_rank": None,
            "linear_head_dim": 32,
            "linear_num_heads": 2,
            "layer_types": ["linear_attention", "full_attention"] * 2,
            "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"],
        },
        ("num_experts", "n_routed_experts", "head_dim"),
        refusal="'_lib_fn_wrapper' object has no attribute 'get'",
    ),
    "LFM2": Family(
        "lfm2",
        _PLAIN | _CONVOLUTION | {"block_auto_adjust_ff_dim": False},
        ("head_dim",),
        tied=True,
    ),
    "LFM2 MoE": Family(
        "lfm2_moe",
        _EXPERTS | _CONVOLUTION | {"num_dense_layers": 1},
        ("head_dim",),
        tied=True,
    ),
    "Llama 4": Family(
        "llama4_text",
        _PLAIN | LLAMA_4,
    ),
    "MiniMax-M2": Family(
        "minimax_m2",
        _PLAIN | _FEW_EXPERTS | {"rotary_dim": 32, "use_routing_bias": True, "scoring_func": "sigmoid"},
        in_float32=("e_score_correction_bias",),
        refusal='assert self.scoring_func == "softmax"',
    ),
    "Ministral 3": Family("ministral3", _PLAIN),
    "Nemotron": Family("nemotron", _PLAIN),
    "Nemotron-H": Family(
        "nemotron_h",
        _PLAIN
        | {
            "layers_block_type": ["mamba", "mlp", "attention", "mlp"],
            "mamba_num_heads": 4,
            "mamba_head_dim": 32,
            "ssm_state_size": 16,
            "n_groups": 1,
            "chunk_size": 32,
        },
    ),
    "Nemotron-H MoE": Family(
        "nemotron_h",
        _PLAIN
        | {
            "layers_block_type": ["mamba", "moe", "attention", "moe"],
            "mamba_num_heads": 4,
            "mamba_head_dim": 32,
            "ssm_state_size": 16,
            "n_groups": 1,
            "chunk_size": 32,
            "n_routed_experts": 4,
            "moe_intermediate_size": 32,
            "moe_shared_expert_intermediate_size": 32,
        },
        refusal="is_act_and_mul=False is supported only for CUDA, XPU and ROCm for now",
    ),
    "OLMo 2": Family("olmo2", _PLAIN, ("head_dim",)),
    "OLMo 3": Family("olmo3", _PLAIN | _SLIDING, ("head_dim",)),
    "OLMo Hybrid": Family(
        "olmo_hybrid",
        _PLAIN
        | {
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 32,
            "linear_value_head_dim": 32,
            "layer_types": ["linear_attention", "full_attention"] * 2,
        },
        ("head_dim",),
        refusal="module 'triton' has no attribute 'set_allocator'",
    ),
    "OLMoE": Family("olmoe", _EXPERTS, ("moe_intermediate_size", "head_dim")),
    "Phi-3.5 MoE": Family(
        "phimoe",
        _PLAIN | _FEW_EXPERTS,
        ("head_dim",),
        refusal="not enough values to unpack (expected 3, got 2)",
    ),
    "Phi-4-mini": Family("phi3", _PLAIN, ("head_dim",), tied=True),
    "Qwen3 MoE": Family("qwen3_moe", _EXPERTS),
    "Qwen3-Next": Family("qwen3_next", _EXPERTS | _GATED_DELTA | {"shared_expert_intermediate_size": 32}),
    "Qwen3.5": Family("qwen3_5_text", _PLAIN | _GATED_DELTA, in_float32=_FLOAT32_STATES, needs_torchvision=True),
    "Qwen3.5 MoE": Family(
        "qwen3_5_moe_text",
        _EXPERTS | _GATED_DELTA | {"shared_expert_intermediate_size": 32},
        in_float32=_FLOAT32_STATES,
        needs_torchvision=True,
    ),
    "Seed-OSS": Family("seed_oss", _PLAIN),
    "SmolLM3": Family("smollm3", _PLAIN, ("head_dim",), tied=True),
    "StarCoder 2": Family("starcoder2", _PLAIN, ("head_dim",), tied=True),
}
"""By name, every family whose text model alone is tried."""
