"""Real shapes, and what vLLM makes parameters of; no library is needed."""

from __future__ import annotations

LLAMA_8B: dict[str, int] = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""Of meta-llama/Meta-Llama-3-8B."""
QWEN_600M: dict[str, int] = {
    "vocab_size": 151_936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""Of Qwen/Qwen3-0.6B."""
SMALL: dict[str, int] = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
}
"""For a CPU."""


def fused_parameters(shape: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters that vLLM has of a Llama: 195 of the 8B."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    heads = shape["num_attention_heads"] * shape["head_dim"]
    keys = shape["num_key_value_heads"] * shape["head_dim"]
    layer: dict[str, tuple[int, ...]] = {
        "qkv": (heads + 2 * keys, hidden),
        "o": (hidden, heads),
        "gate_up": (2 * inner, hidden),
        "down": (hidden, inner),
        "norm_before": (hidden,),
        "norm_after": (hidden,),
    }
    parameters: dict[str, tuple[int, ...]] = {"embed": (shape["vocab_size"], hidden)}
    for number in range(shape["num_hidden_layers"]):
        parameters |= {f"layer-{number}-{name}": size for name, size in layer.items()}
    return parameters | {"norm": (hidden,), "head": (shape["vocab_size"], hidden)}
