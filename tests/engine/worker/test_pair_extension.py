"""What workers share, and keep from client to client, with stand-ins for the pair and for vLLM's loading."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.endpoints import Span
from ama_ray.engine.worker import pair_extension
from ama_ray.engine.worker.pair_extension import PairExtension
from ama_ray.engine.worker.swap_extension import SwapError

BASE, ALIGNED = 1.0, 3.0
SOURCES = {"base": "base", "aligned": ["aligned"], "delta": None}
ASKED: tuple[Any, ...] = (SOURCES, "sum", [{"w": "all"}], "object_store")


class Worker(PairExtension):
    """Counts what it loads, and looks at what it holds while it does."""

    def __init__(self, rank: int = 0) -> None:
        self.device = torch.device("cpu")
        self.model = torch.nn.Linear(4, 1, bias=False)
        self.model.weight.data.fill_(ALIGNED)
        config = SimpleNamespace(dtype=torch.float32)
        self.model_runner = SimpleNamespace(get_model=lambda: self.model, model_config=config)
        self.vllm_config = SimpleNamespace(parallel_config=SimpleNamespace(world_size=2))
        self.rank = rank
        self.loads = 0

    def layout(self) -> dict[str, str]:
        return {"device": "a stand-in"}

    def find_spans(self, shapes: Any, dtypes: Any, numbers: Any) -> list[dict[str, tuple[Span, ...]]]:
        self.model.weight.data.zero_()
        return [{"weight": (Span(0, 4, "all"),)}]

    def load_checkpoint(self, checkpoint: Any) -> None:
        assert not getattr(self, "_pieces", [])  # the last endpoints are gone, and memory is not needed twice
        self.loads += 1
        self.model.weight.data.fill_(checkpoint)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    pair = SimpleNamespace(endpoints=(BASE, ALIGNED), shapes={}, dtypes={}, dtype=torch.float32, starts_on=1)
    gc.collect()  # workers of the last test, which would share what they have
    monkeypatch.setattr(Pair, "read", lambda *sources, **named: pair)
    return Worker()


def test_the_next_client_finds_the_endpoints_attached(worker: Worker) -> None:
    worker.attach_pair(*ASKED)
    worker.swap({"all": 0.5})
    worker.attach_pair(*ASKED)
    assert worker.loads == 2
    worker.verify({"all": 0.5})


@pytest.mark.parametrize("other", [("other", [{"w": "all"}]), ("sum", [{"w": "rest"}])], ids=["pair", "groups"])
def test_other_endpoints_take_the_place_of_the_first(other: tuple[str, list[dict[str, str]]], worker: Worker) -> None:
    released: list[bool] = []
    worker.attach_pair(SOURCES, "sum", [{"w": "all"}], "object_store")
    worker._lock = SimpleNamespace(release=lambda: released.append(True))  # type: ignore[assignment]
    worker.attach_pair(SOURCES, *other, "object_store")
    assert worker.loads == 4
    assert released == [True]
    worker.swap({"all": 0.5})


def test_a_load_that_failed_is_not_taken_for_an_attachment(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.attach_pair(*ASKED)

    def fail(endpoints: Any, place: str, holds: int) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "attach", fail)
        with pytest.raises(RuntimeError):
            worker.attach_pair(SOURCES, "other", [{"w": "all"}], "object_store")
    worker.attach_pair(*ASKED)
    assert worker.loads == 6
    assert pair_extension.PairExtension._attached is None


def test_the_next_engine_of_the_node_finds_the_endpoints(worker: Worker) -> None:
    worker.attach_pair(*ASKED)
    second = Worker()
    second.attach_pair(*ASKED)
    assert (worker.loads, second.loads) == (2, 0)
    assert second._pieces[0].base.data_ptr() != worker._pieces[0].base.data_ptr()  # each maps it by itself
    second.swap({"all": 0.5})
    assert second.model.weight.tolist() == [[2.0] * 4]
    worker._pieces[0].base.fill_(7)
    assert second._pieces[0].base.tolist() == [7.0] * 4
    for changed in (Worker(rank=1), worker):
        changed.attach_pair(SOURCES, "other" if changed is worker else "sum", [{"w": "all"}], "object_store")
        changed.swap({"all": 0.5})
        assert changed.model.weight.tolist() == [[2.0] * 4]


def test_a_worker_that_has_swapped_loads_aligned_before_it_takes_what_others_have(worker: Worker) -> None:
    """What is live must be an endpoint when they are attached, as that shows that the layouts are the same."""
    worker.attach_pair(*ASKED)
    second = Worker()
    second.attach_pair(SOURCES, "other", [{"w": "all"}], "object_store")
    second.swap({"all": 0.25})
    second.attach_pair(*ASKED)
    assert second.loads == 3
    second.swap({"all": 0.5})


def test_the_pair_is_read_in_the_precision_of_the_engine(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both checkpoints are converted to that where they are stored in more."""
    read: list[dict[str, Any]] = []
    pair = Pair.read("", "")

    def note(**asked: Any) -> Pair:
        read.append(asked)
        return pair

    monkeypatch.setattr(Pair, "read", note)
    worker.model_runner.model_config.dtype = torch.bfloat16
    worker.attach_pair(*ASKED)
    assert read == [SOURCES | {"dtype": "bfloat16"}]


def test_what_another_engine_laid_out_in_another_way_is_refused(worker: Worker) -> None:
    worker.attach_pair(*ASKED)
    second = Worker()
    second.model.weight.data[0, 0] = BASE
    with pytest.raises(SwapError, match=r"another layout .*: weight"):
        second.attach_pair(*ASKED)


def test_on_the_accelerator_every_engine_has_its_own(worker: Worker) -> None:
    for each in (worker, Worker()):
        each.attach_pair(SOURCES, "sum", [{"w": "all"}], "accelerator")
        assert each.loads == 2
        each.swap({"all": 0.5})
        assert each.model.weight.tolist() == [[2.0] * 4]


def test_endpoints_that_do_not_fit_into_memory_are_refused(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=63))
    with pytest.raises(SwapError, match=r"both endpoints take 0\.0 GB of memory"):  # of both workers
        worker.attach_pair(*ASKED)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=64))
    worker.attach_pair(*ASKED)


def test_endpoints_of_a_checkpoint_in_float32_take_what_a_narrower_engine_keeps(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.model.bfloat16()
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=31))
    with pytest.raises(SwapError, match="both endpoints take"):
        worker.attach_pair(*ASKED)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=32))
    worker.attach_pair(*ASKED)
    assert worker._stored == {"weight": torch.bfloat16}
