"""Options of `ama-ray engine` that cannot be, each refused in a sentence that names it."""

from __future__ import annotations

from typing import Any

import pytest

from ama_ray.cli.commands.serve import engine_settings
from ama_ray.errors import UserError


def test_options_become_fields() -> None:
    settings = engine_settings(kv_cache_dtype="fp8", gpu_memory_utilization=0.8, vllm='{"max_num_batched_tokens": 512}')
    assert (settings.kv_cache_dtype, settings.gpu_memory_utilization) == ("fp8", 0.8)
    assert settings.vllm == {"max_num_batched_tokens": 512}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"vllm": "max_num_batched_tokens=512"}, r"^--vllm: this is not JSON .*max_num_batched_tokens.*\.$"),
        ({"vllm": "[1]"}, r"^--vllm: this is \[1\] and must be a mapping\.$"),
        ({"vllm": '{"load_format": "dummy"}'}, r"^--vllm: load_format cannot be set: a swap writes .*\.$"),
        ({"kv_cache_dtype": "int4"}, r"^--kv-cache-dtype: this is \"int4\" and must be one of auto, .*fp8_e5m2\.$"),
        (
            {"gpu_memory_utilization": 1.5},
            r"^--gpu-memory-utilization: this is 1.5 and must be a number, above 0, at most 1\.$",
        ),
    ],
)
def test_what_cannot_be_is_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        engine_settings(**({"vllm": "{}"} | options))
