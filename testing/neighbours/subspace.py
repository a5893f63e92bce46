"""The subspace of base's skills: what the inputs of its linear maps span on the text of its skills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Kept:
    """What an update of one parameter must leave as it is.

    Attributes:
        inputs: Orthonormal columns that span the inputs to keep, shape (inputs, rank); None keeps the whole tensor.
        rows: Rows to keep whole, a boolean of shape (rows,); None keeps none.
    """

    inputs: torch.Tensor | None
    rows: torch.Tensor | None = None

    def project(self, update: torch.Tensor) -> torch.Tensor:
        """The update without its part in what is kept."""
        if self.inputs is None:
            return torch.zeros_like(update)
        free = update - update @ self.inputs @ self.inputs.T
        return free if self.rows is None else free * ~self.rows[:, None]


@torch.no_grad()
def kept_by(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[tuple[str, str]],
    share: float,
    chunk: int = 100,
) -> dict[str, Kept]:
    """What keeps the skills, by parameter.

    Of a linear map: the eigenvectors of K K^T of its inputs K with the largest eigenvalues, as many as hold `share` of
    their sum. Of the embedding, which is the head too: those of the head's inputs, and the rows of the tokens of the
    text. Of norms, that scale every channel and have no null space: all.

    Args:
        model: Base.
        tokenizer: Its tokenizer.
        pairs: Prompts and answers of the skills.
        share: Of the sum of the eigenvalues, at most 1.
        chunk: Pairs at once.
    """
    linear: dict[nn.Module, str] = {}
    moments: dict[str, torch.Tensor] = {}
    for module_name, part in model.named_modules():
        if isinstance(part, nn.Linear):
            linear[part] = f"{module_name}.weight"
            moments[linear[part]] = torch.zeros(part.in_features, part.in_features, dtype=torch.float64)
    valid = torch.empty(0)

    def note(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        inputs = given[0][valid].double()
        moments[linear[module]] += inputs.T @ inputs

    hooks = [module.register_forward_pre_hook(note) for module in linear]
    seen = torch.zeros(model.config.vocab_size, dtype=torch.bool)
    for start in range(0, len(pairs), chunk):
        texts = [f"{prompt} {answer}" for prompt, answer in pairs[start : start + chunk]]
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        valid = inputs["attention_mask"].bool()
        seen[inputs["input_ids"][valid]] = True
        model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
    for hook in hooks:
        hook.remove()
    spans = {name: _span(moment, share) for name, moment in moments.items()}
    embedding, head = "model.embed_tokens.weight", "lm_head.weight"
    kept = {name: Kept(spans.get(name)) for name, _ in model.named_parameters()}
    return kept | {embedding: Kept(spans[head], seen)}


def _span(moment: torch.Tensor, share: float) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(moment)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    rank = int((values.cumsum(0) < share * values.sum()).sum()) + 1
    span: torch.Tensor = vectors[:, :rank].float()
    return span
