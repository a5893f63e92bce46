"""`MergedModel`: one live model whose weights are merged in place, and the gradient of its loss by the ratios."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.distill.layout import live_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.distill.batches import Batch
    from ama_ray.distill.layout import Layout

CHUNK = 2**22
"""Elements that are converted at a time, so that no second copy of a large tensor is made."""


class MergedModel:
    """A model of transformers, of any architecture, as a function of the ratios alone.

    With theta(r) = (1 - r) base + r aligned, the derivative of a loss by the ratio of a group is the inner product of
    its gradient by the group's weights with aligned - base. So the weights are merged into the one live model, and
    while the backward pass goes down the layers, the gradient of each weight is made into that product and dropped at
    once: beside the activations, memory holds one merged model and the gradient of one tensor. The endpoints stay on
    disk, mapped.
    """

    def __init__(self, model: Any, layout: Layout, names: Sequence[str]) -> None:
        """Takes over a model.

        Args:
            model: As `layout.load_model` made it; its weights will be changed.
            layout: The endpoints.
            names: Of the groups, in the order of the ratios.
        """
        self._model, self._layout = model, layout
        self._place = {name: names.index(group) for name, group in layout.group_of.items()}
        self._live = {name: tensor for name, tensor in live_tensors(model).items() if name in self._place}
        self._by_ratio = torch.zeros(len(names), dtype=torch.float64)
        self._hooks: list[Any] = []
        for tensor in self._live.values():
            tensor.data = tensor.data.contiguous()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self._place)
            if parameter.requires_grad:
                self._hooks.append(parameter.register_post_accumulate_grad_hook(partial(self._take, name)))

    def close(self) -> None:
        """Lets go of the model: Python cannot collect a parameter whose hook leads back to it."""
        for hook in self._hooks:
            hook.remove()

    def merge(self, ratios: torch.Tensor) -> None:
        """Makes the live weights those of a ratio vector, from the endpoints.

        The precision is that of the live model; what `export` writes may be rounded once more.

        Args:
            ratios: Shape (groups,).
        """
        with torch.no_grad():
            for name, tensor in self._live.items():
                ratio = ratios[self._place[name]].item()
                flat = tensor.view(-1)
                for span, base, aligned in self._chunks(name, _wide(tensor)):
                    flat[span].copy_(interpolate(base, aligned, ratio))

    def loss(self, batch: Batch) -> tuple[float, int]:
        """Sum of -log p over the reply tokens of a batch, in nats, and their number."""
        with torch.no_grad():
            return self._loss(batch).item(), batch.reply_tokens

    def gradient(self, batch: Batch) -> torch.Tensor:
        """Gradient by the ratios, at the weights that are live, of the mean of -log p over the reply tokens.

        Returns:
            Shape (groups,), float64, on the CPU.
        """
        self._by_ratio.zero_()
        (self._loss(batch) / batch.reply_tokens).backward()  # type: ignore[no-untyped-call]
        return self._by_ratio.clone()

    def _loss(self, batch: Batch) -> torch.Tensor:
        device = self._model.device
        logits = self._model(
            input_ids=batch.tokens.to(device), attention_mask=batch.mask.to(device), use_cache=False
        ).logits
        targets = batch.targets.to(device)
        said = targets >= 0
        # Only where a reply token is next: over all places, the distributions can outweigh the model.
        return functional.cross_entropy(logits[said].to(_wide(logits)), targets[said], reduction="sum")

    def _take(self, name: str, parameter: torch.nn.Parameter) -> None:
        gradient = parameter.grad
        assert gradient is not None
        parameter.grad = None
        flat = gradient.reshape(-1)
        for span, base, aligned in self._chunks(name, _wide(gradient)):
            product = torch.dot(flat[span].to(aligned.dtype), aligned - base)
            self._by_ratio[self._place[name]] += product.item()

    def _chunks(self, name: str, dtype: torch.dtype) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        device = self._live[name].device
        base, aligned = self._layout.endpoints(name)
        for start in range(0, base.numel(), CHUNK):
            span = slice(start, start + CHUNK)
            # Base is first rounded as `Pair` rounds it, should it be stored in another dtype.
            yield span, base[span].to(aligned.dtype).to(device, dtype), aligned[span].to(device, dtype)


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
