"""What a server's worker keeps between two clients, with stand-ins for the pair and for vLLM's loading."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.endpoints import Span, StoredTensor
from ama_ray.engine.worker import pair_extension
from ama_ray.engine.worker.pair_extension import PairExtension


class Worker(PairExtension):
    """Counts what it loads, and what it holds while it does."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.model = torch.nn.Linear(4, 1, bias=False)
        self.model_runner = SimpleNamespace(get_model=lambda: self.model)
        self.loads = 0

    def find_spans(self, shapes: Any, dtypes: Any, group_of: Any) -> dict[str, tuple[Span, ...]]:
        return {"weight": (Span(0, 4, "all"),)}

    def _endpoint(self, checkpoint: Any, pair: Any, spans: Any) -> dict[str, StoredTensor]:
        assert not getattr(self, "_pieces", [])  # the last endpoints are gone, and memory is not needed twice
        self.loads += 1
        self.model.weight.data.fill_(self.loads)
        return {"weight": StoredTensor.of(torch.full((4,), float(self.loads)), torch.float32)}


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    pair = SimpleNamespace(base=None, aligned=None, shapes={}, dtypes={})
    monkeypatch.setattr(Pair, "read", lambda base, aligned: pair)
    return Worker()


def test_the_next_client_finds_the_endpoints_attached(worker: Worker) -> None:
    asked: tuple[Any, ...] = ("base", "aligned", "sum", {"w": "all"}, "object_store")
    worker.attach_pair(*asked)
    worker.swap({"all": 0.5})
    worker.attach_pair(*asked)
    assert worker.loads == 2
    worker.verify({"all": 0.5})


@pytest.mark.parametrize("other", [("other", {"w": "all"}), ("sum", {"w": "rest"})], ids=["pair", "groups"])
def test_other_endpoints_take_the_place_of_the_first(other: tuple[str, dict[str, str]], worker: Worker) -> None:
    released: list[bool] = []
    worker.attach_pair("base", "aligned", "sum", {"w": "all"}, "object_store")
    worker._lock = SimpleNamespace(release=lambda: released.append(True))  # type: ignore[assignment]
    worker.attach_pair("base", "aligned", *other, "object_store")
    assert worker.loads == 4
    assert released == [True]
    worker.swap({"all": 0.5})


def test_a_load_that_failed_is_not_taken_for_an_attachment(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: tuple[Any, ...] = ("base", "aligned", "sum", {"w": "all"}, "object_store")
    worker.attach_pair(*asked)

    def fail(endpoints: Any, place: str) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(worker, "attach", fail)
        with pytest.raises(RuntimeError):
            worker.attach_pair("base", "aligned", "other", {"w": "all"}, "object_store")
    worker.attach_pair(*asked)
    assert worker.loads == 6
    assert pair_extension.PairExtension._attached is None
