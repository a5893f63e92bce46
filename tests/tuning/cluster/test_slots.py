"""How many engines an autoscaler's nodes could take: each has to fit on one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ray.core.generated.autoscaler_pb2 import ClusterConfig

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.tuning.cluster.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 2**30


@pytest.fixture
def could_start(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the node types of an autoscaler: GPUs of each, and how many of it may start; none is alive but a head."""
    head = {"CPU": 2.0, "memory": 4.0 * GIB}
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": head}])
    monkeypatch.setattr("ray.cluster_resources", lambda: head)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def of(*types: tuple[int, int]) -> None:
        config = ClusterConfig()
        for gpus, most in types:
            resources = {"CPU": 16, "GPU": gpus, "memory": 64 * GIB}
            config.node_group_configs.add(resources=resources, max_count=most)
        monkeypatch.setattr("ray._private.state.state.get_cluster_config", lambda: config)

    return of


def slots(gpus: int, **fields: Any) -> Slots:
    return Slots(RunConfig.load(ROOT / "run.yaml", engine={"gpus": gpus}, **fields), GIB)


def test_gpus_of_several_nodes_are_no_room_for_one_engine(could_start: Callable[..., None]) -> None:
    could_start((1, 4))
    assert slots(1)() == 4
    with pytest.raises(UserError, match="no node of the Ray cluster has the 1 CPUs and 4 GPUs"):
        slots(4)


@pytest.mark.parametrize(
    ("types", "fit"), [([(8, 2)], 4), ([(4, 1), (3, 9), (8, 1)], 3), ([(4, 0), (8, 1)], 2), ([(6, 3)], 3)]
)
def test_every_node_takes_as_many_engines_as_fit_whole(
    types: list[tuple[int, int]], fit: int, could_start: Callable[..., None]
) -> None:
    could_start(*types)
    assert slots(4)() == fit


def test_of_nodes_without_bound_there_are_enough(could_start: Callable[..., None]) -> None:
    could_start((4, -1))
    assert slots(4, trials=43)() == 10
