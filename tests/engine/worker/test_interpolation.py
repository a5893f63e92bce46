"""What a swap writes and what it leaves alone, on a live model that is a mere stand-in, without vLLM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
from ama_ray.engine.placement import LOCKED, ON_ACCELERATOR
from ama_ray.engine.worker import interpolation, swap_extension
from ama_ray.engine.worker.host_lock import HostLock
from ama_ray.engine.worker.interpolation import Piece, write
from ama_ray.engine.worker.swap_extension import SwapError, SwapExtension
from tests.support.lazy_streams import LazyCuda

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ama_ray.engine.placement import Place

SPANS = (Span(8, 16, "near"), Span(20, 32, "far"))
"""Of 32 elements; the others are equal in both endpoints."""


def attached(dtype: torch.dtype, live: torch.dtype) -> tuple[SwapExtension, torch.Tensor, torch.Tensor, torch.Tensor]:
    """An extension, base, aligned, and the live weights, which are aligned's."""
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(32, generator=draw).to(dtype)
    aligned = base.clone()
    for span in SPANS:
        aligned[span.start : span.end] = torch.randn(span.end - span.start, generator=draw).to(dtype)
    model = torch.nn.Linear(32, 1, bias=False, dtype=live)
    model.weight.data.copy_(aligned)
    extension = SwapExtension()
    extension.device = torch.device("cpu")
    extension.model_runner = SimpleNamespace(get_model=lambda: model)
    endpoints = Endpoints(
        {"weight": StoredTensor.of(base, dtype)},
        ({"weight": StoredTensor.of(aligned, dtype, SPANS)},),
        ({"weight": SPANS},),
    )
    assert endpoints.num_bytes == (32 + 8 + 12) * dtype.itemsize
    extension.attach(endpoints, "object_store")
    return extension, base, aligned, model.weight.data.view(-1)


@pytest.mark.parametrize(
    ("dtype", "live"), [(torch.float32,) * 2, (torch.bfloat16,) * 2, (torch.bfloat16, torch.float32)]
)
def test_equal_tensors_are_stored_once_and_never_written(dtype: torch.dtype, live: torch.dtype) -> None:
    extension, base, aligned, weights = attached(dtype, live)
    ratios = {"near": 0.25, "far": 0.75}
    extension.swap(ratios)
    expected = base.clone()
    for span in SPANS:
        here = slice(span.start, span.end)
        expected[here] = torch.lerp(base[here], aligned[here], ratios[span.number])
    assert torch.equal(weights, expected.to(live))
    # What no span holds is verified all the same.
    weights[0] += 1
    with pytest.raises(SwapError, match="weight"):
        extension.verify(ratios)


@pytest.mark.parametrize(
    ("dtype", "live"), [(torch.float32,) * 2, (torch.bfloat16,) * 2, (torch.bfloat16, torch.float32)]
)
def test_several_models_are_written_in_one_pass_each_where_it_differs(dtype: torch.dtype, live: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(32, generator=draw).to(dtype)
    spans = [(Span(8, 16, "a@x"), Span(20, 32, "b@x")), (Span(20, 32, "b@y"),), (Span(8, 16, "a@z"),)]
    models = [base.clone() for _ in spans]
    for model, of_model in zip(models, spans, strict=True):
        for span in of_model:
            model[span.start : span.end] = torch.randn(span.end - span.start, generator=draw).to(dtype)
    module = torch.nn.Linear(32, 1, bias=False, dtype=live)
    module.weight.data.copy_(models[2])
    extension = SwapExtension()
    extension.device = torch.device("cpu")
    extension.model_runner = SimpleNamespace(get_model=lambda: module)
    endpoints = Endpoints(
        {"weight": StoredTensor.of(base, dtype)},
        [{"weight": StoredTensor.of(m, dtype, of)} for m, of in zip(models, spans, strict=True)],
        [{"weight": of} for of in spans],
    )
    assert endpoints.num_bytes == (32 + 20 + 12 + 8) * dtype.itemsize
    with pytest.raises(SwapError, match="another layout"):
        extension.attach(endpoints, "object_store", 2)
    extension.attach(endpoints, "object_store", 3)
    assert len(extension._pieces) == 2
    shares = {"a@x": 0.25, "b@x": 0.5, "b@y": 0.125, "a@z": 0.625}
    extension.swap(shares)
    exact = base.double()
    for model, of_model in zip(models, spans, strict=True):
        for span in of_model:
            here = slice(span.start, span.end)
            exact[here] += shares[span.number] * (model[here].double() - base[here].double())
    torch.testing.assert_close(module.weight.data.view(-1).double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-6)
    module.weight.data[0, 9] += 1
    with pytest.raises(SwapError, match="weight"):
        extension.verify(shares)
    extension._live_ratios = {}
    extension.swap(dict.fromkeys(shares, 0.0) | {"b@y": 1.0})
    assert torch.equal(module.weight.data.view(-1), models[1].to(live))


def test_a_group_that_has_its_ratio_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    extension, _, _, weights = attached(torch.float32, torch.float32)
    written: list[str] = []

    def listed(pieces: Iterable[tuple[Piece, Sequence[float]]], *, locked: bool) -> None:
        pairs = list(pieces)
        written.extend(number for piece, _ in pairs for number in piece.numbers)
        write(pairs, locked=locked)

    monkeypatch.setattr("ama_ray.engine.worker.swap_extension.write", listed)

    def groups_written(near: float, far: float) -> list[str]:
        written.clear()
        extension.swap({"near": near, "far": far})
        return list(written)

    assert groups_written(0.1, 0.2) == ["near", "far"]
    assert groups_written(0.1, 0.2) == []
    assert groups_written(0.1, 0.3) == ["far"]
    assert groups_written(0.5, 0.3) == ["near"]
    # After a swap that failed, nothing is known to be live.
    weights[3] += 1
    with pytest.raises(SwapError):
        groups_written(0.5, 0.4)
    weights[3] -= 1
    extension.swap({"near": 0.5, "far": 0.4})
    assert written == ["far", "near", "far"]


@pytest.mark.parametrize("size", [1, 2**18, 2**18 + 1, 3 * 2**18 + 5])
def test_another_precision_is_written_in_blocks(size: int) -> None:
    base, aligned = torch.randn(2, size, generator=torch.Generator().manual_seed(0)).bfloat16()
    live = torch.empty(size)
    write([(Piece(("all",), base, (aligned,), live), (0.3,))])
    assert torch.equal(live, torch.lerp(base, aligned, 0.3).float())


@pytest.mark.parametrize("place", list(ON_ACCELERATOR))
def test_endpoints_lie_where_they_are_to(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The accelerator is PyTorch's device without values, so nothing is written here."""
    locked: list[torch.Tensor] = []
    monkeypatch.setattr(HostLock, "on", locked.extend)
    model = torch.nn.Linear(32, 1, bias=False, device="meta")
    extension = SwapExtension()
    extension.device = torch.device("meta")
    extension.model_runner = SimpleNamespace(get_model=lambda: model)
    stored = {"weight": StoredTensor.of(torch.zeros(32), torch.float32)}
    monkeypatch.setattr(extension, "_sample", lambda *args: (torch.zeros(1),) * 4)
    monkeypatch.setattr(swap_extension, "is_endpoint", lambda *args: True)
    extension.attach(Endpoints(stored, (stored,), ({"weight": (Span(0, 32, "all"),)},)), place)
    (piece,) = extension._pieces
    assert (piece.base.is_meta, piece.aligned[0].is_meta) == ON_ACCELERATOR[place]
    assert piece.is_staged == (place != "accelerator")
    ends = [end.data_ptr() for end in piece.ends if end.is_cpu]
    assert [end.data_ptr() for end in locked] == (ends if place in LOCKED else [])


@pytest.mark.parametrize(("device", "size"), [("cpu", 2**18), ("meta", 2**25)])
def test_an_accelerator_gets_large_blocks(device: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A float32 engine on bfloat16 endpoints; the accelerator is PyTorch's device without values."""
    lengths: list[int] = []

    def counted(
        base: torch.Tensor, aligned: Sequence[torch.Tensor], shares: Sequence[float], out: torch.Tensor
    ) -> torch.Tensor:
        lengths.append(len(out))
        return out

    monkeypatch.setattr(interpolation, "merge", counted)
    elements = 2**25 + 5 if device == "meta" else 2**18 + 5
    base, aligned = (torch.empty(elements, dtype=torch.bfloat16, device=device) for _ in range(2))
    write([(Piece(("all",), base, (aligned,), torch.empty(elements, device=device)), (0.3,))])
    assert lengths == [size, 5]


@pytest.mark.parametrize("eager", [(False, False), (True, False), (False, True)], ids=["late", "copies", "arithmetic"])
@pytest.mark.parametrize("locked", [False, True], ids=["by a detour", "locked"])
@pytest.mark.parametrize("away", ["both", "base", "aligned"])
def test_what_is_streamed_arrives_before_it_is_used(
    away: str, locked: bool, eager: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detour that is filled again too early, or a room that is, is a merge of other blocks."""
    draw = torch.Generator().manual_seed(0)
    triples = [[torch.randn(size, generator=draw) for _ in range(3)] for size in (640, 64, 100, 1)]
    hosts = {
        end.untyped_storage().data_ptr()
        for base, aligned, _ in triples
        for end, side in ((base, "base"), (aligned, "aligned"))
        if away in ("both", side)
    }
    monkeypatch.setattr(interpolation, "_is_away", lambda end, live: end.untyped_storage().data_ptr() in hosts)
    monkeypatch.setattr(interpolation, "STAGED", 64)
    ratios = (0.3, 0.7, 0.0, 1.0)
    expected = [torch.lerp(base, aligned, ratio) for (base, aligned, _), ratio in zip(triples, ratios, strict=True)]
    pieces = [
        (Piece(("all",), base, (aligned,), live), (ratio,))
        for (base, aligned, live), ratio in zip(triples, ratios, strict=True)
    ]
    with LazyCuda(monkeypatch, eager_copies=eager[0], eager_arithmetic=eager[1]):
        write(pieces, locked=locked)
    for (_, _, live), right in zip(triples, expected, strict=True):
        assert torch.equal(live, right)


def test_loading_goes_through_the_worker() -> None:
    """Whose `reload_weights` sets vLLM's configuration, which the model runner's own does not."""
    streamed: list[Any] = []
    model = torch.nn.Linear(1, 1, bias=False)

    def reload_weights(*, weights_iterator: Iterable[Any]) -> None:
        streamed.extend(weights_iterator)
        model.weight.data.zero_()

    extension = SwapExtension()
    extension.model_runner = SimpleNamespace(reload_weights=None, get_model=lambda: model)
    extension.reload_weights = reload_weights
    checkpoint: Any = SimpleNamespace(stream=lambda: iter([("weight", torch.zeros(1))]))
    extension.load_checkpoint(checkpoint)
    assert [name for name, _ in streamed] == ["weight"]
