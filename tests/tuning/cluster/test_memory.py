"""A pair that does not fit is refused before anything is loaded, with the numbers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ama_ray.config import EngineSettings
from ama_ray.errors import UserError
from ama_ray.tuning.cluster import memory

GB = 10**9


def inputs(gigabytes: float, dtype: str = "bfloat16", **fields: Any) -> Any:
    folder = Path("my/aligned")
    pair = SimpleNamespace(
        num_bytes=int(gigabytes * GB),
        dtype=torch.bfloat16,
        aligned=SimpleNamespace(folder=folder),
        further=(),
        endpoints=(folder, folder),
        engine_folder=folder,
    )
    settings = EngineSettings(dtype=dtype, kv_cache_gib=1, **fields)
    return SimpleNamespace(pair=pair, config=SimpleNamespace(engine=settings), context_length=64)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets free memory and free shared memory, in GB."""

    def of(free: float, shared: float) -> None:
        monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free * GB))
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=shared * GB))

    return of


def test_an_engine_holds_its_weights_and_its_cache() -> None:
    assert memory.engine_bytes(inputs(4), on_gpu=False) == 2 * GB + 2**30 + memory.RUNTIME
    assert memory.engine_bytes(inputs(4, "float32"), on_gpu=False) == 4 * GB + 2**30 + memory.RUNTIME


def test_an_engine_on_a_gpu_holds_its_weights_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.engine_bytes(inputs(4), on_gpu=True) == memory.RUNTIME_ON_GPU > memory.RUNTIME
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert memory.uses_gpu(EngineSettings())
    assert not memory.uses_gpu(EngineSettings(gpus=0))


def test_every_process_of_an_engine_on_several_gpus_counts() -> None:
    """One for each, and the one that starts them; the weights are there once."""
    assert memory.engine_bytes(inputs(4, gpus=4), on_gpu=True) == 5 * memory.RUNTIME_ON_GPU
    assert memory.engine_bytes(inputs(4, gpus=2), on_gpu=False) == 2 * GB + 2**30 + 3 * memory.RUNTIME


@pytest.mark.parametrize(("where", "size"), [("accelerator", 0), ("split", 32), ("pinned", 32), ("object_store", 32)])
def test_endpoints_that_several_gpus_read_are_not_in_the_object_store(
    where: str, size: int, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def place(*args: Any) -> tuple[str, float]:
        asked.append(args)
        return where, 0.9

    monkeypatch.setattr(memory, "place", place)
    shared = inputs(32, gpus=2)
    assert memory.endpoint_bytes(shared) == size * GB + memory.SLACK
    assert asked == [(shared.config.engine, Path("my/aligned"), 64, 1)]
    assert memory.store_bytes(shared) == memory.SLACK
    machine(free=100, shared=0.064)
    assert memory.own_store(shared) is None
    machine(free=40, shared=50)
    if size:
        with pytest.raises(UserError, match=r"both endpoints take 32\.1 GB and an engine takes 16\.1 GB"):
            memory.own_store(shared)
    else:
        assert memory.own_store(shared) is None


def test_the_object_store_is_made_larger_where_ray_s_own_would_not_do(machine: Any) -> None:
    machine(free=100, shared=50)
    assert memory.own_store(inputs(4)) is None
    machine(free=100, shared=0.064)  # a container's; Ray takes /tmp
    assert memory.own_store(inputs(4)) is None
    machine(free=100, shared=50)
    assert memory.own_store(inputs(32)) == 32 * GB + memory.SLACK


def test_a_pair_that_does_not_fit_is_refused(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(free=20, shared=50)
    with pytest.raises(UserError, match=r"my/aligned: both .* 32\.1 GB and an engine takes 18\.7 GB.* has 20\.0 GB"):
        memory.own_store(inputs(32))
    machine(free=100, shared=2)
    with pytest.raises(UserError, match=r"/dev/shm: .* 32\.1 GB, and 2\.0 GB are free there; make it larger"):
        memory.own_store(inputs(32))
    nodes = [
        {"Alive": alive, "Resources": {"object_store_memory": size * GB}} for alive, size in ((True, 9), (False, 99))
    ]
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    memory.check_stores(inputs(8))
    with pytest.raises(UserError, match=r"32\.1 GB .* 9\.0 GB; start Ray with --object-store-memory=32134217728\."):
        memory.check_stores(inputs(32))
