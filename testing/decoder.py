"""The miniature's Llama for the benchmark of searches: many short prompts at once, in float32.

It does what `ama_ray.miniature.recipe.evaluate` does with transformers, faster; a test compares both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


class Decoder:
    """A Llama that answers prompts, with the weights of a merge."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Prepares a decoder.

        Args:
            config: Of the checkpoint (`config.json`); tied embeddings, rotary positions without scaling.
        """
        self._heads, self._kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self._size, self._eps, self._end = config["head_dim"], config["rms_norm_eps"], config["eos_token_id"]
        self._layers = config["num_hidden_layers"]
        theta = config["rope_parameters"]["rope_theta"]
        frequencies = theta ** -(torch.arange(0, self._size, 2) / self._size)
        angles = torch.arange(config["max_position_embeddings"])[:, None] * frequencies
        self._cos, self._sin = angles.cos(), angles.sin()
        self._weights: dict[str, Tensor] = {}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over the weights of a checkpoint, by their names there."""
        self._weights = {name: tensor.float() for name, tensor in weights.items()}
        for layer in range(self._layers):
            prefix = f"model.layers.{layer}."
            for fused, parts in (("self_attn.", "qkv"), ("mlp.", ("gate", "up"))):
                tensors = [self._weights.pop(f"{prefix}{fused}{part}_proj.weight") for part in parts]
                self._weights[f"{prefix}{fused}in"] = torch.cat(tensors)

    @torch.inference_mode()
    def next_logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits of the token after each prompt.

        Args:
            ids: Shape (prompts, tokens), padded on the left.
            mask: True where there is a token.

        Returns:
            Shape (prompts, vocabulary).
        """
        return self._read(ids, mask, self._empty_cache(len(ids), ids.shape[1]))

    @torch.inference_mode()
    def reply(self, ids: Tensor, mask: Tensor, limits: Sequence[int], noise: Tensor | None = None) -> Tensor:
        """Replies, greedy or sampled at temperature 1.

        Args:
            ids: Shape (prompts, tokens), padded on the left.
            mask: True where there is a token.
            limits: Most new tokens, by prompt.
            noise: Gumbel noise of shape (prompts, new tokens, vocabulary); what is largest after adding it to the
                logits is a sample. None is greedy.

        Returns:
            New tokens, shape (prompts, most new tokens); zeros after the end.
        """
        left, most = torch.tensor(limits), max(limits)
        cache = self._empty_cache(len(ids), ids.shape[1] + most)
        logits = self._read(ids, mask, cache)
        replies = torch.zeros(len(ids), most, dtype=torch.long)
        live, position = torch.arange(len(ids)), mask.sum(1)
        for step in range(most):
            tokens = (logits if noise is None else logits + noise[live, step]).argmax(-1)
            replies[live, step] = tokens
            going_on = (tokens != self._end) & (left[live] > step + 1)
            if not going_on.any():
                break
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            if not going_on.all():
                live, tokens, mask, position = (each[going_on] for each in (live, tokens, mask, position))
                cache = [(keys[going_on], values[going_on]) for keys, values in cache]
            logits = self._forward(tokens[:, None], position[:, None], cache, mask[:, None, None, :])
            position = position + 1
        return replies

    def _empty_cache(self, prompts: int, tokens: int) -> list[tuple[Tensor, Tensor]]:
        shape = (prompts, self._kv_heads, tokens, self._size)
        return [(torch.zeros(shape), torch.zeros(shape)) for _ in range(self._layers)]

    def _read(self, ids: Tensor, mask: Tensor, cache: list[tuple[Tensor, Tensor]]) -> Tensor:
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
        # Padding sees itself, as a row without anything to see has no softmax.
        seen = (causal & mask[:, None, :]) | torch.eye(ids.shape[1], dtype=torch.bool)
        return self._forward(ids, (mask.cumsum(1) - 1).clamp(min=0), cache, seen[:, None])

    def _forward(self, ids: Tensor, positions: Tensor, cache: list[tuple[Tensor, Tensor]], seen: Tensor) -> Tensor:
        weights, end = self._weights, seen.shape[-1]
        start = end - ids.shape[1]
        hidden = weights["model.embed_tokens.weight"][ids]
        cos, sin = self._cos[positions][:, None], self._sin[positions][:, None]
        queries, both = self._heads, self._heads + self._kv_heads
        for layer, (keys, values) in enumerate(cache):
            prefix = f"model.layers.{layer}."
            normed = self._norm(hidden, f"{prefix}input_layernorm.weight")
            heads = self._by_head(functional.linear(normed, weights[f"{prefix}self_attn.in"]))
            keys[:, :, start:end] = _rotated(heads[:, queries:both], cos, sin)
            values[:, :, start:end] = heads[:, both:]
            out = functional.scaled_dot_product_attention(
                _rotated(heads[:, :queries], cos, sin),
                keys[:, :, :end],
                values[:, :, :end],
                attn_mask=seen,
                enable_gqa=True,
            )
            out = out.transpose(1, 2).reshape(*ids.shape, -1)
            hidden = hidden + functional.linear(out, weights[f"{prefix}self_attn.o_proj.weight"])
            normed = self._norm(hidden, f"{prefix}post_attention_layernorm.weight")
            gate, up = functional.linear(normed, weights[f"{prefix}mlp.in"]).chunk(2, -1)
            hidden = hidden + functional.linear(functional.silu(gate) * up, weights[f"{prefix}mlp.down_proj.weight"])
        return functional.linear(self._norm(hidden[:, -1], "model.norm.weight"), weights["model.embed_tokens.weight"])

    def _norm(self, hidden: Tensor, name: str) -> Tensor:
        weight = self._weights[name]
        return functional.rms_norm(hidden, weight.shape, weight, self._eps)

    def _by_head(self, projected: Tensor) -> Tensor:
        return projected.view(*projected.shape[:2], -1, self._size).transpose(1, 2)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
