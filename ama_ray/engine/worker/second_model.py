"""A model beside the live one, loaded as an engine loads at its start.

vLLM's reloading collects what the loaders of the parameters are called with. Some models, as gpt-oss, copy into
parameters themselves, which nothing is kept of.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def load(
    vllm_config: Any, model_config: Any, device: torch.device, tensors: Iterator[tuple[str, torch.Tensor]]
) -> torch.nn.Module:
    """A new model with weights, vLLM's post-processing included; it takes the memory of another set of them.

    Args:
        vllm_config: Of the live model.
        model_config: The same.
        device: Where the live model is.
        tensors: Of a checkpoint.
    """
    from vllm.config import set_current_vllm_config
    from vllm.model_executor.model_loader.utils import initialize_model, process_weights_after_loading
    from vllm.utils.torch_utils import set_default_torch_dtype

    with (
        _without_live_layers(vllm_config.compilation_config),
        set_current_vllm_config(vllm_config),
        set_default_torch_dtype(model_config.dtype),
    ):
        with device:
            model: torch.nn.Module = initialize_model(vllm_config, model_config=model_config)
        model.load_weights(tensors)  # type: ignore[operator]
        process_weights_after_loading(model, model_config, device)
    return model


def free_bytes(device: torch.device) -> int:
    """What such a model may take where the live one is."""
    if device.type == "cpu":
        import psutil  # a GPU is tried with PyTorch alone

        return int(psutil.virtual_memory().available)
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


@contextmanager
def _without_live_layers(compilation: Any) -> Iterator[None]:
    """Lets another model have the names under which vLLM knows the layers of the live one."""
    layers, experts = dict(compilation.static_forward_context), list(compilation.static_all_moe_layers)
    compilation.static_forward_context.clear()
    compilation.static_all_moe_layers.clear()
    try:
        yield
    finally:
        compilation.static_forward_context.clear()
        compilation.static_forward_context.update(layers)
        compilation.static_all_moe_layers[:] = experts
