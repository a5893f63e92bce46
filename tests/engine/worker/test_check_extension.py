"""What the deep check asks of a worker, on a live model that is a mere stand-in, without vLLM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ama_ray.engine.endpoints import Endpoints, StoredTensor
from ama_ray.engine.worker import check_extension
from ama_ray.engine.worker.check_extension import CheckExtension
from ama_ray.engine.worker.swap_extension import SwapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SHAPES = {"q": (4, 6), "k": (2, 6), "norm": (6,), "layer_scalar": (1,)}
DTYPES = dict.fromkeys(SHAPES, torch.bfloat16)
GROUP_OF = {"q": "attention", "k": "attention", "norm": "rest", "layer_scalar": "rest"}


class Worker(CheckExtension):
    """A worker whose model fuses `q` and `k`, and keeps `layer_scalar` in a buffer.

    Attributes:
        dropped: What it does not load; of a name with a number, only so many elements are.
    """

    def __init__(
        self, dtype: torch.dtype = torch.bfloat16, dropped: Mapping[str, int] | None = None, ranks: int = 1
    ) -> None:
        self.dropped = dropped or {}
        self.model: Any = torch.nn.Module()
        self.model.qk = torch.nn.Parameter(torch.zeros(6, 6, dtype=dtype), requires_grad=False)
        self.model.norm = torch.nn.Parameter(torch.zeros(6, dtype=torch.float32), requires_grad=False)
        self.model.register_buffer("layer_scalar", torch.ones(1, dtype=dtype))
        self.model.register_buffer("angles", torch.linspace(0, 1, 9))
        self.device = torch.device("cpu")
        self.vllm_config = SimpleNamespace(parallel_config=SimpleNamespace(world_size=ranks))
        self.model_runner = SimpleNamespace(get_model=lambda: self.model, model_config=SimpleNamespace(dtype=dtype))

    def _load(self, tensors: Callable[[], Iterable[tuple[str, torch.Tensor]]]) -> None:
        self._live_ratios = {}
        where = {
            "q": self.model.qk[:4],
            "k": self.model.qk[4:],
            "norm": self.model.norm,
            "layer_scalar": self.model.layer_scalar,
        }
        for name, tensor in tensors():
            count = self.dropped.get(name, tensor.numel())
            where[name].view(-1)[:count] = tensor.view(-1)[:count].to(where[name].dtype)


def endpoint(seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw).bfloat16() for name, shape in SHAPES.items()}


def attached(worker: Worker) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Attaches two random endpoints, got as in a run; returns their tensors."""
    (spans,) = worker.find_spans(SHAPES, DTYPES, [GROUP_OF])
    base, aligned = endpoint(0), endpoint(1)
    worker._load(base.items)
    of_base = {name: StoredTensor.of(t.clone(), torch.bfloat16) for name, t in worker._weights().items()}
    worker._load(aligned.items)
    of_aligned = {
        name: StoredTensor.of(t.clone(), torch.bfloat16, spans[name]) for name, t in worker._weights().items()
    }
    worker.attach(Endpoints(of_base, (of_aligned,), (spans,)), "object_store")
    return base, aligned


def test_a_buffer_that_is_loaded_is_swapped_and_no_other() -> None:
    worker = Worker()
    base, aligned = attached(worker)
    assert worker.parameter_bytes().keys() == {"qk", "norm", "layer_scalar"}
    worker.swap({"attention": 0.25, "rest": 0.75})
    expected = torch.lerp(base["layer_scalar"], aligned["layer_scalar"], 0.75)
    assert torch.equal(worker.model.layer_scalar, expected)
    assert torch.equal(worker.model.angles, torch.linspace(0, 1, 9))
    worker.model.layer_scalar.copy_(aligned["layer_scalar"])
    with pytest.raises(SwapError, match="did not reach these parameters: layer_scalar"):
        worker.verify({"attention": 0.25, "rest": 0.75})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("at_once", [1, 3, 4096])
def test_every_element_of_every_tensor_is_counted(
    dtype: torch.dtype, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = check_extension._numbers()
    assert len({*numbers.tolist()}) == len(numbers) > 5000
    assert 0 not in numbers
    assert torch.equal(numbers, numbers.half().bfloat16())
    monkeypatch.setattr(check_extension, "_numbers", lambda: numbers[:at_once])
    worker = Worker(dtype)
    attached(worker)
    held = {"q": [24], "k": [12], "norm": [6], "layer_scalar": [1]}
    assert worker.count(SHAPES, ["q", "norm", "layer_scalar", "k"]) == held
    assert worker.count(SHAPES, ["k"]) == {"k": [12]}


@pytest.mark.parametrize("dropped", [{"k": 0}, {"layer_scalar": 0}, {"q": 23}, {"norm": 5}])
def test_what_is_not_loaded_is_missed(dropped: dict[str, int]) -> None:
    worker = Worker(dropped=dropped)
    attached(worker)
    sizes = {name: torch.Size(shape).numel() for name, shape in SHAPES.items()} | dropped
    assert worker.count(SHAPES, list(SHAPES)) == {name: [size] for name, size in sizes.items()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_parts_are_counted_where_workers_share_a_tensor(dtype: torch.dtype) -> None:
    worker = Worker(dtype, {"q": 15}, ranks=4)
    attached(worker)
    held = {"q": [6, 6, 3, 0], "k": [6, 6, 0, 0], "norm": [2, 2, 1, 1], "layer_scalar": [1, 0, 0, 0]}
    assert worker.count(SHAPES, list(SHAPES)) == held


def test_a_model_is_compared_with_what_it_was() -> None:
    worker = Worker()
    attached(worker)
    assert worker.keep("then") == 4
    assert worker.differing("then") == worker.differing_weights("then") == []
    worker.model.angles += 1
    worker.model.room = torch.ones(3)
    assert worker.differing("then") == ["angles", "room"]
    assert worker.differing_weights("then") == ["angles"]
    worker.keep_scratch("then")
    assert worker.differing("then") == []
    worker.model.qk[0, 0] += 1
    assert worker.differing("then") == ["qk"]


@pytest.mark.parametrize("holds", [0, 1])
@pytest.mark.parametrize("place", ["qk", "norm", "layer_scalar"])
def test_endpoints_are_attached_only_to_the_weights_that_they_are(holds: int, place: str) -> None:
    """In another layout, as on another GPU, sizes are the same, and every value is there."""
    worker = Worker()
    (spans,) = worker.find_spans(SHAPES, DTYPES, [GROUP_OF])
    base, aligned = endpoint(0), endpoint(1)
    base["q"][0] = aligned["q"][0]  # equal rows, which are in no span of their own
    worker._load(base.items)
    of_base = {name: StoredTensor.of(t.clone(), torch.bfloat16) for name, t in worker._weights().items()}
    worker._load(aligned.items)
    of_aligned = {
        name: StoredTensor.of(t.clone(), torch.bfloat16, spans[name]) for name, t in worker._weights().items()
    }
    endpoints = Endpoints(of_base, (of_aligned,), (spans,))
    with pytest.raises(SwapError, match="another layout"):
        worker.attach(endpoints, "object_store", 0)
    worker._load((aligned if holds else base).items)
    worker.attach(endpoints, "object_store", holds)
    live = worker._weights()[place]
    live.view(-1)[-1] += 1
    with pytest.raises(SwapError, match=f"another layout .*: {place}$"):
        worker.attach(endpoints, "object_store", holds)
