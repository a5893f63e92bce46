"""Responses, and the padded batches that a model reads them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.prompting import Tokens


@dataclass(frozen=True)
class Response:
    """What aligned says to a prompt: token ids of both, the end token included where the reply ends with it."""

    prompt: Tokens
    reply: Tokens

    def cut(self, block: int) -> Response:
        """The response without what is past so many tokens of prompt and reply; the reply may become empty."""
        return Response(self.prompt, self.reply[: max(0, block - len(self.prompt))])


@dataclass(frozen=True)
class Batch:
    """Responses side by side, padded at their ends.

    Attributes:
        tokens: Shape (responses, length).
        mask: 1 where there is a token and 0 where padding, same shape.
        targets: The reply token that comes next, -1 where none does, same shape.
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor

    @property
    def reply_tokens(self) -> int:
        """How many reply tokens there are."""
        return int((self.targets >= 0).sum())

    @classmethod
    def of(cls, responses: Sequence[Response]) -> Batch:
        """Pads responses to the longest of them."""
        length = max(len(each.prompt) + len(each.reply) for each in responses)
        tokens = torch.zeros(len(responses), length, dtype=torch.long)
        mask, targets = torch.zeros_like(tokens), torch.full_like(tokens, -1)
        for row, each in enumerate(responses):
            end = len(each.prompt) + len(each.reply)
            tokens[row, :end] = torch.tensor(each.prompt + each.reply)
            mask[row, :end] = 1
            targets[row, len(each.prompt) - 1 : end - 1] = torch.tensor(each.reply)
        return cls(tokens, mask, targets)
