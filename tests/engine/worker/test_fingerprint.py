"""What a fingerprint sees: every tensor that a model computes with, wherever it is kept, to the last bit."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from ama_ray.engine.worker import fingerprint
from ama_ray.engine.worker.fingerprint import Fingerprint


class Kernel:
    """As kernels of vLLM are: an object that is no module."""

    def __init__(self, packed: torch.Tensor) -> None:
        self.packed = [packed]


Kernel.__module__ = "vllm.kernels"


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.layer: Any = torch.nn.Linear(5, 3, dtype=torch.bfloat16)
        self.tied = self.layer
        self.register_buffer("scalar", torch.ones(1))
        self.copy = self.layer.weight.detach().clone()
        self.kernel = Kernel(torch.randn(4, 3, generator=draw))
        packed = torch.randn(7, generator=draw)
        self.linear: Any = lambda x: x * packed
        self.partial = functools.partial(torch.add, torch.randn(2, generator=draw))
        self.method = self.bound
        self.cache = torch.zeros(8)

    def bound(self) -> None: ...


def tensors_by_place(model: Model) -> dict[str, torch.Tensor]:
    return dict(fingerprint.tensors(model))


def test_every_tensor_of_a_model_is_found() -> None:
    places = tensors_by_place(Model())
    assert places.keys() == {
        "layer.weight",
        "layer.bias",
        "scalar",
        "copy",
        "kernel.packed.0",
        "linear.packed",
        "partial.args.0",
        "cache",
    }


@pytest.mark.parametrize("place", sorted(tensors_by_place(Model())))
def test_a_bit_in_any_of_them_shows(place: str) -> None:
    model: Any = Model()
    before = Fingerprint.of(model)
    assert Fingerprint.of(model).differing(before) == []
    tensor = tensors_by_place(model)[place]
    tensor.view(-1)[-1:].view(torch.uint8)[0] ^= 1
    assert Fingerprint.of(model).differing(before) == [place]
    tensor.view(-1)[-1:].view(torch.uint8)[0] ^= 1
    assert Fingerprint.of(model).differing(before) == []


def test_what_is_left_out_may_change() -> None:
    model: Any = Model()
    before = Fingerprint.of(model, [model.cache])
    model.cache += 1
    assert Fingerprint.of(model, [model.cache]).differing(before) == []


def test_a_tensor_that_comes_or_goes_shows() -> None:
    model: Any = Model()
    before = Fingerprint.of(model)
    model.later = torch.ones(2)
    assert Fingerprint.of(model).differing(before) == ["later"]
    del model.later, model.copy
    assert Fingerprint.of(model).differing(before) == ["copy"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int64, torch.bool])
@pytest.mark.parametrize("size", [1, 7, 2**18 * 8 + 3])
def test_order_and_sign_and_length_count(dtype: torch.dtype, size: int) -> None:
    tensor = torch.arange(1, size + 1).remainder(13).to(dtype)
    model: Any = torch.nn.Module()

    def prints(values: torch.Tensor) -> Any:
        model.values = values
        return Fingerprint.of(model).prints["values"]

    same = prints(tensor)
    assert prints(tensor.clone()) == same
    padded = torch.cat([tensor.new_zeros(1), tensor])
    assert prints(padded[1:]) == same
    assert prints(padded) != same
    assert prints(tensor.view(1, -1)) != same
    if dtype != torch.bool and size > 1:
        swapped = tensor.clone()
        swapped[0], swapped[-2 if size > 7 else -1] = tensor[1], tensor[0]
        assert prints(swapped) != same
        assert prints(tensor.flip(0)) != same
        negative = tensor.clone()
        negative[[0, 4]] *= -1  # the uppermost bit of two words, which a sum of products would cancel
        assert prints(negative) != same


def test_two_experts_in_another_order_show() -> None:
    experts = torch.randn(4, 512, 512).bfloat16()
    model: Any = torch.nn.Module()
    model.experts = experts
    before = Fingerprint.of(model)
    model.experts = experts[[1, 0, 2, 3]]
    assert Fingerprint.of(model).differing(before) == ["experts"]
