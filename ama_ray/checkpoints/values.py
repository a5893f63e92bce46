"""The values of tensors: their checksums, and how far two of them are apart."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import torch

from ama_ray.checkpoints.compatibility import dtype_name

PART = 2**15
"""Elements that are compared at a time: they stay in a core's cache, and torch has no threads meet for so few."""


def digest_of(values: object) -> str:
    """The SHA-256 of a value whose `repr` says all of it."""
    return hashlib.sha256(repr(values).encode()).hexdigest()


def tensor_digest(tensor: torch.Tensor) -> str:
    """The SHA-256 of dtype, shape and all bytes in their order; runs beside other work, as hashlib frees the GIL."""
    found = hashlib.sha256(f"{dtype_name(tensor.dtype)} {list(tensor.shape)} ".encode())
    stored: Any = tensor.contiguous().flatten().view(torch.uint8).numpy()  # a buffer
    found.update(stored)
    return found.hexdigest()


def distance(base: torch.Tensor, aligned: torch.Tensor) -> float:
    """Euclidean, in float32; not finite where a value of either is not."""
    parts = zip(torch.split(base.flatten(), PART), torch.split(aligned.flatten(), PART), strict=True)
    return math.hypot(*(float(torch.dist(low.float(), high.float())) for low, high in parts))
