"""The losses of both trainings, and batches of prompts with several replies each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import logsigmoid

if TYPE_CHECKING:
    from collections.abc import Sequence

Tree = tuple["Sequence[int]", "Sequence[Sequence[int]]"]
"""Token ids of a prompt, and of each of its replies; all trees of a batch have as many replies."""


def bradley_terry(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood that the chosen reply wins, by its score (arXiv 1706.03741, equation 1).

    Args:
        chosen: Scores, shape (pairs,).
        rejected: Likewise.
    """
    return -logsigmoid(chosen - rejected).mean()


def dpo(margins: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """Mean loss of direct preference optimisation (arXiv 2305.18290, equation 7).

    Args:
        margins: Log-probability of the better reply less that of the worse one, in nats, shape (pairs,).
        reference: The same of the model that training started from.
        beta: How much a nat counts.
    """
    return -logsigmoid(beta * (margins - reference)).mean()


@dataclass(frozen=True)
class Batch:
    """Prompts with their replies, a row each: all replies to a prompt share one computation of it.

    Attributes:
        ids: Token ids, shape (rows, longest): the prompt, then one reply after another, then padding.
        positions: Of each token in its own text, so that every reply begins where the prompt ends.
        mask: Which tokens a token sees, shape (rows, 1, longest, longest): those before it of its own text.
        ends: Where each reply's last token is, shape (rows, replies).
        rows: Of every token of a reply, its row; shape (tokens,), as are the next three.
        before: Where the token before it in its text is.
        targets: The token.
        replies: The number of its reply among those of the whole batch.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    ends: torch.Tensor
    rows: torch.Tensor
    before: torch.Tensor
    targets: torch.Tensor
    replies: torch.Tensor

    @classmethod
    def of(cls, trees: Sequence[Tree]) -> Batch:
        """Makes a batch."""
        longest = max(len(prompt) + sum(map(len, replies)) for prompt, replies in trees)
        ids = torch.zeros((len(trees), longest), dtype=torch.long)
        positions = torch.zeros_like(ids)
        # Padding sees itself: a softmax over nothing is no number.
        mask = torch.eye(longest, dtype=torch.bool).repeat(len(trees), 1, 1)
        ends, asked = [], []
        for row, (prompt, replies) in enumerate(trees):
            start = len(prompt)
            ids[row, :start] = torch.tensor(prompt)
            positions[row, :start] = torch.arange(start)
            mask[row, :start, :start] = _causal(start)
            begin = start
            for branch, reply in enumerate(replies):
                own = slice(begin, begin + len(reply))
                ids[row, own] = torch.tensor(reply)
                positions[row, own] = torch.arange(start, start + len(reply))
                mask[row, own, :start] = True
                mask[row, own, own] = _causal(len(reply))
                before = [start - 1, *range(begin, own.stop - 1)]
                number = row * len(replies) + branch
                asked += [(row, place, target, number) for place, target in zip(before, reply, strict=True)]
                begin = own.stop
                ends.append(begin - 1)
        return cls(ids, positions, mask[:, None], torch.tensor(ends).view(len(trees), -1), *torch.tensor(asked).T)

    def hidden(self, model: Any) -> torch.Tensor:
        """Last hidden states of a model of transformers that has a `model`, shape (rows, longest, width)."""
        states: torch.Tensor = model.model(
            input_ids=self.ids, position_ids=self.positions, attention_mask=self.mask, use_cache=False
        ).last_hidden_state
        return states


def reply_logprobs(model: Any, trees: Sequence[Tree]) -> torch.Tensor:
    """Summed log-probability of each reply, in nats, shape (prompts, replies).

    Only for the tokens of replies are there logits: over 49152 tokens they would take more time than the layers.

    Args:
        model: A causal language model of transformers, with a `model` and an `lm_head`.
        trees: Prompts with their replies.
    """
    batch = Batch.of(trees)
    logits = model.lm_head(batch.hidden(model)[batch.rows, batch.before]).float()
    chosen = logits.gather(1, batch.targets[:, None])[:, 0] - logits.logsumexp(1)
    return torch.zeros(batch.ends.numel()).index_add(0, batch.replies, chosen).view_as(batch.ends)


def reply_scores(model: Any, trees: Sequence[Tree]) -> torch.Tensor:
    """Raw score of each reply by a sequence classifier, which reads it at its last token; shape (prompts, replies).

    Args:
        model: Of transformers, with a `model` and a `score` of one output.
        trees: Prompts with their replies.
    """
    batch = Batch.of(trees)
    last = batch.hidden(model)[torch.arange(len(trees))[:, None], batch.ends]
    scores: torch.Tensor = model.score(last)[..., 0].float()
    return scores


def _causal(length: int) -> torch.Tensor:
    return torch.ones((length, length), dtype=torch.bool).tril()
