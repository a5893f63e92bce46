"""vLLM's classes of a model, imported where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.json_file import read_json
from ama_ray.checkpoints.parts import text_fields
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CLASSIFIER = "ForSequenceClassification"


def names_in_vllm(architecture: str) -> tuple[str, ...]:
    """The names under which vLLM may have an architecture: it makes classifiers of its language models itself."""
    if not architecture.endswith(_CLASSIFIER):
        return (architecture,)
    stem = architecture.removesuffix(_CLASSIFIER)
    return architecture, f"{stem}ForCausalLM", f"{stem}LMHeadModel"


def import_model_classes(folder: Path) -> None:
    """Has vLLM know the classes of a model before it starts an engine on it in this process.

    It looks at a class it has not imported in a process of its own, as an import might start CUDA too early. That
    process imports all of vLLM: ten seconds of a core and more, once per architecture, version and machine, and at the
    same time in every engine of a first run. Without a GPU there is nothing to start too early.

    Args:
        folder: A checkpoint. What vLLM does not know or cannot import is left to its own messages.

    Raises:
        UserError: They want torchvision. The lock leaves it out, as only PyTorch's own index has a build for the CPU.
    """
    import torch

    if torch.cuda.is_available():
        return
    from vllm.model_executor.models.registry import ModelRegistry

    for name, model_class in _classes(folder):
        ModelRegistry.register_model(name, model_class)


def is_recurrent(folder: Path) -> bool:
    """Whether a model hands a state of its own from token to token, as Mamba does, besides what attention caches.

    Args:
        folder: A checkpoint.
    """
    from vllm.model_executor.models.interfaces import has_inner_state, is_hybrid

    # Wrappers of hybrids say of themselves that they are hybrids alone.
    return any(has_inner_state(each) or is_hybrid(each) for _, each in _classes(folder))


def has_latent_attention(folder: Path) -> bool:
    """Whether a model caches keys and values as one latent vector, as DeepSeek's do (arXiv 2405.04434).

    Args:
        folder: A checkpoint.
    """
    return "kv_lora_rank" in text_fields(read_json(folder / "config.json"))


def _classes(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every class that vLLM has for a model and can import, with its name there."""
    import torch
    from vllm.model_executor.models.registry import ModelRegistry

    config = read_json(folder / "config.json")
    for architecture in config.get("architectures") or ():
        for name in names_in_vllm(architecture):
            if known := ModelRegistry.models.get(name):
                try:
                    model_class = known.load_model_cls()
                except (ImportError, RuntimeError) as error:  # the latter of a build that does not fit torch
                    if not _is_for_torchvision(error):
                        continue
                    raise UserError(
                        f"{folder}: vLLM needs torchvision for {architecture}, and it cannot be imported here; install "
                        f"the build for the CPU that fits torch {torch.__version__} (docs/limits.md)."
                    ) from error
                yield name, model_class


def _is_for_torchvision(error: BaseException | None) -> bool:
    """Whether an import failed for want of torchvision, however deep: transformers wraps such errors."""
    while error is not None and "torchvision" not in str(error):
        error = error.__cause__ or error.__context__
    return error is not None
