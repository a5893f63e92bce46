"""How vLLM starts on aligned where no folder holds it whole.

Of that kind are an adapter with more tokens, a pair to be converted, and what an operator has made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vllm.model_executor.model_loader import register_model_loader
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from ama_ray.checkpoints.compatibility import dtype_name
from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.arguments import STREAMED

if TYPE_CHECKING:
    from collections.abc import Generator

    import torch
    from torch import nn
    from vllm.config import ModelConfig
    from vllm.config.load import LoadConfig


@register_model_loader(STREAMED)
class PairLoader(DefaultModelLoader):  # type: ignore[misc]  # vllm is not typed here
    """vLLM's own loader, which takes tensors from a pair instead of files."""

    def __init__(self, load_config: LoadConfig) -> None:
        """Takes what opens the pair from the extra configuration."""
        self._sources: dict[str, Any] = dict(load_config.model_loader_extra_config)
        super().__init__(replace(load_config, model_loader_extra_config={}))

    def get_all_weights(
        self, model_config: ModelConfig, model: nn.Module
    ) -> Generator[tuple[str, torch.Tensor], None, None]:
        """The tensors of aligned, converted where the engine is in less precision than they are stored in."""
        yield from Pair.read(**self._sources, dtype=dtype_name(model_config.dtype)).aligned.stream()

    def download_model(self, model_config: ModelConfig) -> None:
        """There is nothing to download: the pair is open elsewhere."""
