"""AdamW whose updates are changed before they are applied: off a subspace, or merged with a direction.

Both changes are of the update and not of the gradient. Online Merging is defined so. For the null space it is needed:
AdamW divides every element by a scale of its own, which would turn a projected gradient out of the null space again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from transformers import LlamaForCausalLM

    from testing.neighbours.subspace import Kept

    Change = Callable[[str, torch.Tensor], torch.Tensor]


class ChangedAdamW(torch.optim.AdamW):
    """AdamW without weight decay, with every tensor's update passed through a function."""

    def __init__(self, model: torch.nn.Module, learning_rate: float, change: Change) -> None:
        """Takes all parameters of a model.

        Args:
            model: Its parameters are named as in `named_parameters`.
            learning_rate: Constant.
            change: From a name and AdamW's update, the update that is applied; of the same shape.
        """
        self._named = dict(model.named_parameters())
        self._change = change
        super().__init__(self._named.values(), learning_rate, weight_decay=0.0)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step, from the gradients that are there."""
        before = {name: parameter.clone() for name, parameter in self._named.items()}
        super().step(closure)
        for name, parameter in self._named.items():
            parameter.copy_(before[name] + self._change(name, parameter - before[name]))


def null_space(kept: Mapping[str, Kept]) -> Change:
    """The update without its part in the subspace of the skills.

    NSPO (arXiv 2512.11391): the update D of a linear map W is multiplied from the right by the projector P onto the
    null space of its inputs K on general tasks, so that (W + D P) K = W K.
    """

    def change(name: str, update: torch.Tensor) -> torch.Tensor:
        return kept[name].project(update)

    return change


def on_dare(direction: Mapping[str, torch.Tensor], *, weight: float, keep: float, seed: int) -> Change:
    """Online Merging with DARE: (1 - weight) F(update) + weight F(direction).

    As in the authors' `ODAdamW` (arXiv 2405.17931): F keeps each element with probability `keep` and divides it by
    that. The direction's elements are drawn once, the update's in every step.

    Args:
        direction: Of base's own training, end minus start, by parameter.
        weight: Of the direction.
        keep: A probability above 0.
        seed: Of what is kept.
    """
    generator = torch.Generator().manual_seed(seed)

    def sparse(tensor: torch.Tensor) -> torch.Tensor:
        return tensor * (torch.rand(tensor.shape, generator=generator) < keep) / keep

    drawn = {name: sparse(tensor) for name, tensor in direction.items()}

    def change(name: str, update: torch.Tensor) -> torch.Tensor:
        return (1 - weight) * sparse(update) + weight * drawn[name]

    return change


def changed(change: Change) -> Callable[[LlamaForCausalLM, float], torch.optim.Optimizer]:
    """What the recipe's `align` takes."""
    return lambda model, learning_rate: ChangedAdamW(model, learning_rate, change)
