"""vLLM's second model runner on a CPU: its kernels are Triton's, which interprets them where it cannot compile."""

from __future__ import annotations

import os
from types import SimpleNamespace


def use_second_runner() -> None:
    """Has an engine of this process have it. The process must not have imported vLLM."""
    os.environ |= {"TRITON_INTERPRET": "1", "VLLM_USE_V2_MODEL_RUNNER": "1"}
    from triton.backends import backends

    # vLLM's build for CPUs wants a compiler for them to be there, which an interpreter does not need.
    backends["cpu"] = SimpleNamespace(driver=SimpleNamespace(is_active=lambda: False))
