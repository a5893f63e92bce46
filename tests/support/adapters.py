"""LoRA adapters for tests, made by PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import peft
import torch
import transformers

if TYPE_CHECKING:
    from pathlib import Path

PLAIN: dict[str, Any] = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"]}
"""Fields of a configuration that needs nothing special."""


def write_adapter(base: Path, folder: Path, **settings: Any) -> dict[str, torch.Tensor]:
    """Writes a random adapter over a checkpoint.

    Returns:
        The weights of PEFT's own merge.
    """
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(task_type="CAUSAL_LM", **settings)
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape) * 0.1)
    adapted.save_pretrained(folder)
    merged: dict[str, torch.Tensor] = adapted.merge_and_unload().state_dict()
    return merged
