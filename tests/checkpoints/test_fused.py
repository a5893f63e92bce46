"""The compiled merge of several models."""

from __future__ import annotations

import torch

from ama_ray.checkpoints import fused


def test_every_bfloat16_survives_with_nothing_added() -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    out = torch.empty_like(every)
    fused.merge(out, every, [every], [0.5])
    finite = every.isfinite()
    assert torch.equal(out[finite], every[finite])
    assert out[~finite].isnan().all()  # infinity minus itself


def test_it_rounds_as_pytorch_does() -> None:
    """Sums of two numbers are exact in float32 here, so that ties are ties."""
    draw = torch.Generator().manual_seed(0)
    start, other = (torch.randint(-255, 256, (10_001,), generator=draw).to(torch.bfloat16) for _ in range(2))
    out = torch.empty_like(start)
    fused.merge(out, start, [other], [0.0625])
    exact = start.float() + 0.0625 * (other.float() - start.float())
    assert torch.equal(out, exact.to(torch.bfloat16))
    assert (exact.view(torch.int32) & 0xFFFF == 0x8000).any()  # there are ties


def test_threads_and_turns_make_no_difference() -> None:
    draw = torch.Generator().manual_seed(1)
    size = 2 * fused.PER_THREAD + 1_025
    start, *others = (torch.randn(size, generator=draw).to(torch.bfloat16) for _ in range(4))
    whole, parts = torch.empty_like(start), torch.empty_like(start)
    shares = [0.2, 0.3, 0.1]
    fused.merge(whole, start, others, shares)
    for begin in range(0, size, 700_001):
        here = slice(begin, begin + 700_001)
        fused.merge(parts[here], start[here], [each[here] for each in others], shares)
    assert torch.equal(whole, parts)
    exact = start.double() + sum(s * (o.double() - start.double()) for s, o in zip(shares, others, strict=True))
    largest = torch.stack([start, *others]).double().abs().amax(0)
    assert float(((whole.double() - exact).abs() / largest).max()) < 0.51 * torch.finfo(torch.bfloat16).eps
