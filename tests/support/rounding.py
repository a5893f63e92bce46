"""How far a value of a dtype may be from the exact one."""

from __future__ import annotations

import torch


def half_ulp(exact: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Half a unit in the last place of a dtype, at exact values."""
    info = torch.finfo(dtype)
    exponent = torch.floor(torch.log2(exact.abs().clamp_min(info.tiny)))
    return 0.5 * info.eps * torch.exp2(exponent)
