"""Prints the table of docs/speed.md that says where endpoints lie: python -m scripts.placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ama_ray.config import EngineSettings
from ama_ray.engine.placement import Load, cache_of_a_token, decide
from ama_ray.errors import UserError

ITEM = 2
"""Bytes of a bfloat16."""
CONTEXT = 4096
"""Tokens of context."""
MEMORIES = {"24 GB": 24e9, "80 GB": 80e9, "141 GB": 141e9}
RANKS = (1, 2, 4, 8)
WORDS = {"accelerator": "resident", "split": "one resident", "pinned": "streamed"}


@dataclass(frozen=True)
class Shape:
    """A model.

    Attributes:
        parameters: How many it has.
        config: What its configuration says of the KV cache.
    """

    parameters: int
    config: dict[str, Any]


SHAPES = {
    "1B (Llama 3.2)": Shape(
        1_235_814_400,
        {"num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 2048},
    ),
    "8B (Llama 3)": Shape(
        8_030_261_248,
        {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096},
    ),
    "32B (Qwen 2.5)": Shape(
        32_763_876_352,
        {"num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 8, "hidden_size": 5120},
    ),
    "70B (Llama 3)": Shape(
        70_553_706_496,
        {"num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_size": 8192},
    ),
}


def load(shape: Shape, ranks: int) -> Load:
    """What a shape takes of one of `ranks` GPUs in bfloat16."""
    part = shape.parameters * ITEM // ranks
    return Load(part, part, cache_of_a_token(shape.config, ITEM, ranks) * CONTEXT)


def cell(shape: Shape, memory: float, ranks: int) -> str:
    """Where the endpoints of a shape lie."""
    try:
        place, _ = decide(load(shape, ranks), int(memory), EngineSettings().gpu_memory_utilization)
    except UserError:
        return "refused"
    return WORDS[place]


def table() -> str:
    """A row for each shape and memory, a column for each number of GPUs."""
    lines = ["| | GPU | " + " | ".join(f"{ranks} GPU{'s' * (ranks > 1)}" for ranks in RANKS) + " |"]
    lines.append("|" + "---|" * (len(RANKS) + 2))
    for name, shape in SHAPES.items():
        for size, memory in MEMORIES.items():
            cells = (cell(shape, memory, ranks) for ranks in RANKS)
            lines.append(f"| {name} | {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
