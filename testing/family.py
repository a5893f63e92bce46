"""Tiny random pairs of a family of models. Must not import vllm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import transformers

from testing.checkpoints import word_tokenizer

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        kind: `model_type` of transformers.
        fields: Of its configuration.
        without: What its configuration does not have of the usual fields.
        tied: Whether its head is its embedding.
        in_float32: Parts of the names of tensors that its checkpoints hold in float32 beside bfloat16.
        refusal: What an engine on a CPU says that cannot run it; empty where it runs.
        needs_torchvision: Whether vLLM imports torchvision for it.
    """

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    tied: bool = False
    in_float32: tuple[str, ...] = ()
    refusal: str = ""
    needs_torchvision: bool = False


def make_family(folder: Path, family: Family, *, layers: int = 4) -> tuple[Path, Path]:
    """Writes `folder/base` and `folder/aligned` of a family: hidden size 64, 300 words, random weights in bfloat16.

    Every tensor differs between the two, buffers, norms and the parameters of states included, which transformers
    starts at constants.

    Returns:
        The folders of base and of aligned.
    """
    fields = {key: value for key, value in family.fields.items() if key not in family.without}
    if "layers_block_type" not in fields:
        fields["num_hidden_layers"] = layers
    config = transformers.CONFIG_MAPPING[family.kind](
        vocab_size=300, bos_token_id=1, eos_token_id=2, pad_token_id=0, tie_word_embeddings=family.tied, **fields
    )
    paths = folder / "base", folder / "aligned"
    for seed, path in enumerate(paths):
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(tensor + 0.2 * drawn if tensor.ndim < 2 else 0.08 * drawn)
        _narrow(model, family.in_float32)
        model.save_pretrained(path)
        word_tokenizer().save_pretrained(path)
    return paths


def _narrow(model: torch.nn.Module, in_float32: tuple[str, ...]) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and not any(part in name for part in in_float32):
            tensor.data = tensor.data.bfloat16()
