"""What a swap writes itself and what it hands over to the model's own loading, on a stand-in, without vLLM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
from ama_ray.engine.worker import second_model
from ama_ray.engine.worker.check_extension import CheckExtension
from ama_ray.engine.worker.load_extension import STORED, LoadExtension
from ama_ray.engine.worker.swap_extension import SwapError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHAPES = {"w": (16, 6), "A_log": (3,), "norm": (64,), "gate": (2, 6), "up": (2, 6)}
BF16, FP32 = torch.bfloat16, torch.float32
DTYPES = {"w": BF16, "A_log": BF16, "norm": FP32, "gate": BF16, "up": BF16}
GROUP_OF = {"w": "first", "A_log": "second", "norm": "second", "gate": "first", "up": "second"}
Tensors = dict[str, torch.Tensor]


class Worker(CheckExtension):
    """A worker whose model keeps `-exp(A_log)` in `A`, rounds `norm` to bfloat16, and fuses `gate` and `up`.

    Attributes:
        left_out: What its reloading leaves alone, which its first load does not.
        unfilled: What its model's own loading takes for nothing.
        packed: What it keeps in another order, as a kernel reads it, and cannot be written to a second time.
    """

    def __init__(
        self, left_out: tuple[str, ...] = (), unfilled: tuple[str, ...] = (), packed: tuple[str, ...] = ()
    ) -> None:
        self.left_out, self.unfilled, self.packed = left_out, unfilled, packed
        self.model: Any = torch.nn.Module()
        for name, shape in (("w", (16, 6)), ("A", (3,)), ("norm", (64,)), ("both", (4, 6))):
            zeros = torch.zeros(shape, dtype=FP32 if name == "A" else BF16)
            setattr(self.model, name, torch.nn.Parameter(zeros, requires_grad=False))
        self.model.columns = torch.nn.Parameter(self.model.get_parameter("w")[:, ::2], requires_grad=False)
        self.device = torch.device("cpu")
        self.model_runner = SimpleNamespace(get_model=lambda: self.model, model_config=SimpleNamespace(dtype=BF16))

    def write(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        filled = {"w": "w", "A_log": "A", "norm": "norm", "gate": "both", "up": "both"}
        written = set()
        for name, tensor in tensors:
            where = self.model.get_parameter(filled[name]).data
            where = {"gate": where[:2], "up": where[2:]}.get(name, where)
            where.copy_(-torch.exp(tensor.float()) if name == "A_log" else tensor)
            written.add(filled[name])
        return written

    def reload_weights(self, *, weights_iterator: Iterator[tuple[str, torch.Tensor]]) -> None:
        self.write((name, tensor) for name, tensor in weights_iterator if name not in self.left_out)

    def _load_anew(self, tensors: Iterator[tuple[str, torch.Tensor]]) -> None:
        self.write(tensors)

    def _fill(self, tensors: Mapping[str, torch.Tensor]) -> set[str]:
        assert not tensors.keys() & set(self.packed)
        return self.write((name, tensor) for name, tensor in tensors.items() if name not in self.unfilled)


def ends() -> tuple[Tensors, Tensors]:
    draw = torch.Generator().manual_seed(0)
    base, aligned = ({n: torch.randn(s, generator=draw).to(DTYPES[n]) for n, s in SHAPES.items()} for _ in range(2))
    return base, aligned


def attached(worker: Worker, dtypes: Mapping[str, torch.dtype] = DTYPES) -> tuple[Tensors, Tensors, Endpoints]:
    (spans,) = worker.find_spans(SHAPES, dtypes, [GROUP_OF])
    base, aligned = ends()
    worker._load(base.items)
    of_base = worker.snapshot(worker.parameter_bytes(), BF16, None)
    of_base = {name: StoredTensor(end.array.copy(), end.dtype) for name, end in of_base.items()}
    worker._load(aligned.items)
    of_aligned = worker.snapshot(worker.parameter_bytes(), BF16, spans)
    of_aligned = {name: StoredTensor(end.array.copy(), end.dtype) for name, end in of_aligned.items()}
    endpoints = Endpoints(of_base, (of_aligned,), (spans,))
    worker.attach(endpoints, "object_store")
    return base, aligned, endpoints


def test_a_swap_leaves_what_loading_the_merge_leaves() -> None:
    worker, plain = Worker(), Worker()
    base, aligned, endpoints = attached(worker)
    assert endpoints.base.keys() == {"w", "both", f"{STORED}A_log:3", f"{STORED}norm:64"}
    assert endpoints.spans[0][f"{STORED}norm:64"] == (Span(0, 64, "second"),)
    for ratios in ({"first": 0.3, "second": 0.7}, {"first": 0.3, "second": 0.1}, {"first": 0.9, "second": 0.1}):
        worker.swap(ratios)
        plain.write((n, interpolate(base[n], aligned[n], ratios[GROUP_OF[n]])) for n in SHAPES)
        for name, tensor in plain.model.named_parameters():
            assert torch.equal(worker.model.get_parameter(name), tensor), name
    # In the engine's precision the endpoints, rounded already, would give another merge.
    rounded = interpolate(base["norm"].bfloat16(), aligned["norm"].bfloat16(), 0.1)
    assert not torch.equal(worker.model.norm, rounded)


def test_another_engine_takes_the_same_endpoints() -> None:
    base, aligned, endpoints = attached(Worker())
    other = Worker()
    other.write(aligned.items())
    other.attach(endpoints, "object_store")
    other.swap({"first": 0.2, "second": 0.6})
    assert torch.equal(other.model.A, -torch.exp(interpolate(base["A_log"], aligned["A_log"], 0.6).float()))


def test_an_engine_that_is_not_what_was_handed_over_is_refused() -> None:
    _, aligned, endpoints = attached(Worker())
    other = Worker()
    other.write(aligned.items())
    other.model.A[1] += 0.5
    with pytest.raises(SwapError, match=r"a second time as at its start: A$"):
        other.attach(endpoints, "object_store")


def test_what_the_model_does_not_take_again_is_found() -> None:
    worker = Worker()
    attached(worker)
    worker.unfilled = ("A_log",)
    with pytest.raises(SwapError, match="did not take these tensors again: A_log, norm"):
        worker.swap({"first": 0.2, "second": 0.6})


def test_a_transformed_parameter_that_nothing_is_known_to_make_is_refused() -> None:
    with pytest.raises(SwapError, match="vLLM transforms A at loading"):
        Worker(unfilled=("A_log",)).find_spans(SHAPES, DTYPES, [GROUP_OF])


def test_a_parameter_that_others_make_up_besides_is_interpolated_where_it_lies() -> None:
    worker = Worker()
    _, _, endpoints = attached(worker, DTYPES | {"up": FP32})
    assert "both" in endpoints.base
    assert not any("up" in name for name in endpoints.base)


def test_what_is_tried_for_nothing_is_loaded_again() -> None:
    """Else the numbers that it was tried with would be taken for groups."""
    worker = Worker()
    del worker.model.A  # which is handed over
    shapes = {name: SHAPES[name] for name in ("w", "norm", "gate", "up")}
    group_of = {"w": "first", "norm": "first", "gate": "second", "up": "first"}
    (spans,) = worker.find_spans(shapes, dict.fromkeys(shapes, BF16) | {"up": FP32}, [group_of])
    assert spans["both"] == (Span(0, 12, "second"), Span(12, 24, "first"))


def test_what_a_kernel_has_packed_is_interpolated_where_it_lies() -> None:
    worker = Worker(packed=("w",))
    base, aligned, endpoints = attached(worker)
    assert "w" in endpoints.base
    worker.swap({"first": 0.25, "second": 0.75})
    assert torch.equal(worker.model.w, interpolate(base["w"], aligned["w"], 0.25))


@pytest.mark.parametrize("left_out", [("w",), ("A_log", "norm")])
def test_what_reloading_leaves_out_is_loaded_as_at_the_start(left_out: tuple[str, ...]) -> None:
    worker = Worker(left_out)
    base, aligned, _ = attached(worker)
    assert worker._loads_anew
    worker.swap({"first": 0.25, "second": 0.75})
    assert torch.equal(worker.model.w, interpolate(base["w"], aligned["w"], 0.25))
    assert not Worker()._loads_anew


def test_a_second_set_of_weights_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(left_out=("w",))
    size = sum(parameter.nbytes for parameter in worker.model.parameters())
    loaded: list[object] = []

    def second(*given: object) -> torch.nn.Module:
        loaded.append(given)
        model: torch.nn.Module = worker.model
        return model

    monkeypatch.setattr(second_model, "load", second)
    worker.vllm_config = None
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=size - 1))
    with pytest.raises(SwapError, match=r"a second set of its .* 0\.0 GB are free; lower engine\.gpu_memory_util"):
        LoadExtension._load_anew(worker, iter(()))
    assert not loaded
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=size))
    LoadExtension._load_anew(worker, iter(()))
    assert loaded


def test_tensors_of_one_parameter_may_differ_from_base_in_some_models_only() -> None:
    worker = Worker()
    del worker.model.A
    shapes = {name: SHAPES[name] for name in ("w", "norm", "gate", "up")}
    numbers = [dict.fromkeys(shapes, "all@x"), {"up": "all@y"}, {"gate": "all@z", "up": "all@z"}]
    first, second, third = worker.find_spans(shapes, dict.fromkeys(shapes, BF16), numbers)
    assert first["both"] == (Span(0, 12, "all@x"), Span(12, 24, "all@x"))
    assert second["both"] == (Span(12, 24, "all@y"),)
    assert third["both"] == (Span(0, 12, "all@z"), Span(12, 24, "all@z"))
    assert not second["w"]
    assert not third["w"]
