"""What vLLM loads into its workers: `PairExtension`, in a process that keeps weights where a swap can reach them.

Importing this changes vLLM in the process, so only vLLM does.
"""

from __future__ import annotations

import ctypes
from typing import Any
from weakref import WeakSet

import torch

from ama_ray.engine.worker.pair_extension import PairExtension
from ama_ray.engine.worker.pair_loader import PairLoader

__all__ = ["PairExtension", "PairLoader"]


def _keep_plain_weights() -> None:
    """Keeps every Linear's weight where a swap can reach it.

    On a CPU, vLLM packs weights for oneDNN, AMX or zentorch kernels at load and leaves the parameter empty or stale;
    a swap would then change only norms and embeddings, without an error. PyTorch's own kernels read the live weight.
    """
    from torch.nn.functional import linear
    from vllm.model_executor.layers import utils

    as_vllm_does = utils.dispatch_cpu_unquantized_gemm
    viewed: WeakSet[torch.nn.Module] = WeakSet()

    def dispatch(layer: Any, remove_weight: bool) -> None:
        if layer.weight.ndim == 2:
            layer.cpu_linear = linear
            return
        # Once loaded anew, the weight lies elsewhere until it is copied back.
        if layer in viewed or _is_viewed(layer):
            viewed.add(layer)
            return
        # A convolution's kernel reads its weight in a packed order only: the same elements, where a swap reaches them.
        as_vllm_does(layer, remove_weight)
        # The copy in plain order would be stale after a swap; only speculative decoding reads it.
        vars(layer).pop("_cpu_unpacked_conv_weight", None)

    utils.dispatch_cpu_unquantized_gemm = dispatch


def _is_viewed(layer: torch.nn.Module) -> bool:
    """Whether the module that a layer is part of reads its weight through a buffer, as Mamba 2 its convolution.

    That is in plain order. Packed, the weight would lie elsewhere, read by nobody, and the buffer keep what was there.
    """
    from vllm.config import get_current_vllm_config

    parts = get_current_vllm_config().compilation_config.static_forward_context.values()
    place = layer.weight.untyped_storage().data_ptr()  # type: ignore[operator]
    return any(
        buffer.untyped_storage().data_ptr() == place
        for part in parts
        if isinstance(part, torch.nn.Module) and any(child is layer for child in part.children())
        for buffer in part.buffers(recurse=False)
    )


def _repack_experts() -> None:
    """Brings experts into the kernel's layout after every load.

    vLLM's CPU kernel for mixtures of experts reads weights in a packed order, and vLLM packs them after the first load
    only: any later load, and so both endpoints, would have the plain order, which the kernel takes for garbage without
    an error. Packing is a permutation with zeros as padding, so endpoints that were packed alike can be interpolated.
    """
    from vllm.model_executor.layers.fused_moe.unquantized_fused_moe_method import UnquantizedFusedMoEMethod

    set_up = UnquantizedFusedMoEMethod._setup_kernel

    def set_up_and_pack(self: Any, layer: Any, w13: torch.Tensor, w2: torch.Tensor) -> None:
        is_first = self.moe_kernel is None
        set_up(self, layer, w13, w2)
        if not is_first:
            self.moe_kernel.fused_experts.process_weights_after_loading(layer)

    UnquantizedFusedMoEMethod._setup_kernel = set_up_and_pack


def _keep_freed_memory() -> None:
    """Has the C library keep blocks of up to 256 MiB that were freed, for the next step's activations.

    It would give them back, and every step would have the kernel clear the same pages again: a tenth of the time.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # glibc's
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 2**28)
        mallopt(trim_threshold, 2**28)


if not torch.cuda.is_available():
    _keep_plain_weights()
    _repack_experts()
    _keep_freed_memory()
