"""Engines on one node share the endpoints' memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
import torch
import transformers

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine.arguments import pair_arguments
from ama_ray.space.search_space import SearchSpace
from ama_ray.tuning.cluster.engine_actor import EngineActor
from ama_ray.tuning.cluster.engine_source import StoredEndpoints
from ama_ray.tuning.cluster.ray_cluster import ray_cluster
from testing.checkpoints import make_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ama_ray.engine.endpoints import Endpoints

pytestmark = pytest.mark.engine

SETTINGS = EngineSettings(dtype="float32", kv_cache_gib=1 / 32)
CONTEXT = 32


def pss(processes: Iterable[int]) -> int:
    """Bytes of memory that processes take together; a page that several map is counted once among them."""
    total = 0
    for process in processes:
        fields = dict(
            line.split(":")
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
            if ":" in line
        )
        total += int(fields["Pss"].split()[0]) * 1024
    return total


def make_wide_pair(folder: Path) -> Pair:
    """A Llama of 21 million parameters, so that a second copy of its endpoints would stand out."""
    config = transformers.LlamaConfig(
        vocab_size=300,
        hidden_size=1024,
        intermediate_size=2048,
        num_hidden_layers=2,
        num_attention_heads=8,
        max_position_embeddings=128,
    )
    paths = make_pair(folder, layers=1)
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(path)
    return Pair.open(*map(str, paths))


@dataclass(frozen=True)
class ByValue:
    """In the place of `StoredEndpoints`."""

    endpoints: Endpoints

    @property
    def aligned(self) -> tuple[Any, ...]:
        return tuple(self.endpoints.aligned)

    def get(self) -> Endpoints:
        return self.endpoints


@pytest.fixture
def cluster() -> Iterator[None]:
    with ray_cluster():
        yield


@pytest.mark.usefixtures("cluster")
def test_a_second_engine_shares_the_endpoints(tmp_path: Path) -> None:
    pair = make_wide_pair(tmp_path)
    groups = SearchSpace.load("per-layer").resolve(pair.names)
    ratios = dict.fromkeys(groups.names, 0.5)
    # As in a run, except that the engines take no CPU each, of which there may be but one.
    start = ray.remote(num_cpus=0)(EngineActor).remote
    first: Any = start(pair.engine_folder, SETTINGS, CONTEXT, pair_arguments(pair))
    stored = StoredEndpoints.by(first, pair, groups)
    ray.get(first.attach.remote(stored))
    ray.get(first.swap.remote(ratios))
    second: Any = start(pair.engine_folder, SETTINGS, CONTEXT, pair_arguments(pair))
    ray.get(second.start.remote())

    # An actor's parent is the raylet, which maps the object store too, as this process may.
    processes = {pid for a in (first, second) for pid in ray.get(a.__ray_call__.remote(_process_and_parent))}
    processes.add(os.getpid())
    assert len(processes) == 4
    before = pss(processes)
    ray.get(second.attach.remote(stored))
    attached = pss(processes)
    ray.get(second.swap.remote(ratios))
    swapped = pss(processes)
    # Endpoints are attached to an engine that holds aligned.
    ray.get(second.swap.remote(dict.fromkeys(groups.names, 1.0)))
    # Handed over by value, they are no longer shared: that this shows is what makes the figures above mean something.
    ray.get(second.attach.remote(ByValue(stored.get())))
    ray.get(second.swap.remote(ratios))
    unshared = pss(processes)

    endpoints = pair.num_bytes
    print(
        f"endpoints {endpoints / 2**20:.0f} MiB; engines, raylet and driver {before / 2**20:.0f} MiB before the second "
        f"attached, {(attached - before) / 2**20:+.1f} MiB after, {(swapped - before) / 2**20:+.1f} MiB after a swap, "
        f"{(unshared - before) / 2**20:+.1f} MiB where nothing is shared"
    )
    assert endpoints > 100 * 2**20
    assert attached - before < 0.1 * endpoints
    assert swapped - before < 0.1 * endpoints
    assert unshared - before > 0.9 * endpoints


def _process_and_parent(_: Any) -> tuple[int, int]:
    return os.getpid(), os.getppid()
