"""Starting an engine in this process, on the accelerators that it may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.config import EngineSettings
    from ama_ray.engine.in_process import InProcessEngine


def start_engine(
    folder: Path,
    settings: EngineSettings,
    context_length: int,
    of_pair: Mapping[str, Any] | None = None,
    models: int = 1,
) -> InProcessEngine:
    """Starts an engine; an engine without GPUs sees none.

    Ray leaves the GPUs of a node visible to an actor that asked for none of them.

    Args:
        folder: A Hugging Face checkpoint folder.
        settings: Precision and resources.
        context_length: Tokens of context the run needs.
        of_pair: Further arguments of vLLM (`pair_arguments`).
        models: How many aligned models it is to have the endpoints of.

    Raises:
        UserError: The model does not fit, or the installed vLLM runs on GPUs only and the engine may use none.
    """
    if settings.gpus == 0:
        # Before anything asks CUDA how many there are, as the next import does: the first answer stays.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        from vllm.platforms import current_platform

        if not current_platform.is_cpu():
            raise UserError(
                "engine.gpus: 0 leaves the engine no GPU, and the vLLM that is installed runs on GPUs only; leave the "
                "field out, or install ama_ray with the extra `cpu`."
            )
    from ama_ray.engine.in_process import InProcessEngine

    return InProcessEngine(folder, settings, context_length, of_pair, models)
