"""An engine on two pretend GPUs in a Ray actor: two processes that share the weights, each swapped and verified."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import ray

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine import deep_check
from ama_ray.engine.arguments import pair_arguments
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.in_process import plain_greedy_logprobs
from ama_ray.engine.verdict import PROMPTS, compare
from ama_ray.space.search_space import SearchSpace
from ama_ray.tuning.cluster.engine_actor import EngineActor
from ama_ray.tuning.cluster.engine_source import EndpointsByRank
from testing.checkpoints import make_pair
from tests.support import live_engine
from tests.support.pretend_gpus import pretend_gpus, rank_files, shared_files
from tests.support.processes import OwnProcess, in_own_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ama_ray.engine.deep_check import Checked
    from ama_ray.engine.verdict import Outputs

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

ONE = EngineSettings(dtype="float32", kv_cache_gib=1 / 32, cpus=1)
TWO = ONE.model_copy(update={"gpus": 2})
CLOSE = 1e-4
"""Nats between sums of two processes' parts and sums in one."""


@dataclass
class Live:
    """An engine on two GPUs, checked.

    Attributes:
        actor: It holds the engine.
        folder: Of the pair: its only head of keys and values is on both GPUs.
        pair: Opened.
        subject: Of the deep check.
        checked: What came of it.
        process: The actor's.
    """

    actor: Any
    folder: Path
    pair: Pair
    subject: Subject
    checked: Checked
    process: psutil.Process

    def on_engine(self, method: str, *args: Any) -> Any:
        def call(actor: Any) -> Any:
            return getattr(actor._engine, method)(*args)

        return ray.get(self.actor.__ray_call__.remote(call))

    def in_ranks(self, function: Any) -> list[Any]:
        """What a function, which is pickled by value, returns in every worker."""
        results: list[Any] = ray.get(self.actor.__ray_call__.remote(lambda a: a._engine._llm.collective_rpc(function)))
        return results

    def answers(self) -> Outputs:
        self.on_engine("reset_cache")
        found: Outputs = self.on_engine("greedy_logprobs", self.subject.prompts, deep_check.NEW_TOKENS)
        return found


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("pair")
    pair = Pair.open(*map(str, make_pair(folder, layers=2)))
    groups = SearchSpace.load("per-layer").resolve(pair.names)
    subject = Subject.of(pair, groups, TWO)
    with pretend_gpus(2):
        start = ray.remote(num_cpus=0, num_gpus=2)(EngineActor).remote
        actor: Any = start(pair.engine_folder, TWO, deep_check.CONTEXT, pair_arguments(pair))
        started = actor.start.remote(subject, again=True)
        attached = actor.attach_pair.remote(EndpointsByRank.of(pair, groups))
        checked = ray.get(actor.check.remote(attached, answers=True))
        ray.get(started)
        process = psutil.Process(ray.get(actor.__ray_call__.remote(lambda _: os.getpid())))
        yield Live(actor, folder, pair, subject, checked, process)


def test_the_deep_check_passes_in_both_processes(live: Live) -> None:
    assert live.checked.verdict.passed, live.checked.verdict.trouble
    assert live.checked.verdict.tensors > 10
    assert (live.checked.verdict.equal, live.checked.verdict.largest_difference) == (2 * PROMPTS, 0)


def test_it_answers_as_one_process_and_as_a_fresh_engine_on_the_export(live: Live) -> None:
    ratios = live.subject.ratios[0]
    live.on_engine("swap", ratios)
    ours = live.answers()
    assert ours == live.checked.answers
    process = OwnProcess()
    try:
        process.run(live_engine.start, live.folder, "per-layer", ONE, deep_check.CONTEXT)
        process.run(live_engine.ask, "swap", ratios)
        asked = "greedy_logprobs", live.subject.prompts, deep_check.NEW_TOKENS
        in_one = process.run(live_engine.ask, *asked)
        sizes = process.run(live_engine.parameter_bytes)
    finally:
        process.close()
    merging.export(live.pair, live.subject.groups.shares_of(ratios), live.folder / "merge")
    fresh = in_own_process(plain_greedy_logprobs, live.folder / "merge", ONE, deep_check.CONTEXT, *asked[1:])
    for other in (in_one, fresh):
        equal, largest = compare(ours, other)
        assert equal == len(live.subject.prompts)
        assert largest < CLOSE

    # What every GPU holds counts: the norms, and the head of keys and values, twice.
    def parameter_bytes(actor: Any) -> dict[str, int]:
        found: dict[str, int] = actor._engine.parameter_bytes
        return found

    on_both = ray.get(live.actor.__ray_call__.remote(parameter_bytes))
    config = live.pair.config
    head = config["hidden_size"] // config["num_attention_heads"]
    for name, size in sizes.items():
        more = size if "norm" in name else 2 * head * config["hidden_size"] * 4 if "qkv_proj" in name else 0
        assert on_both[name] == size + more, name


def test_every_process_maps_its_own_part_and_verifies_it(live: Live) -> None:
    files = {process.pid: rank_files(process) for process in live.process.children(recursive=True)}
    held = {pid: of_one for pid, of_one in files.items() if of_one}
    assert len(held) == 2
    assert {name.rpartition("-")[2] for of_one in held.values() for name in of_one} == {"0", "1"}
    assert rank_files(live.process) == {}
    parts = [size for of_one in held.values() for size in of_one.values()]
    assert max(parts) < 0.75 * live.pair.num_bytes

    live.on_engine("swap", live.subject.ratios[1])
    name = "model.layers.1.mlp.down_proj.weight"

    def spoil(worker: Any) -> None:
        if worker.rank == 1:
            worker.model_runner.get_model().get_parameter(name).data.view(-1)[0] += 1

    live.in_ranks(spoil)
    with pytest.raises(ray.exceptions.RayTaskError, match=f"did not reach these parameters: {name}"):
        live.on_engine("call_workers", "verify", live.subject.ratios[1])


def test_nothing_is_left_when_the_actor_is_killed(live: Live) -> None:
    processes = live.process.children(recursive=True)
    assert any(rank_files(process) for process in processes)
    assert not [file for process in (live.process, *processes) for file in shared_files(process)]
    live.process.kill()
    _, left = psutil.wait_procs(processes, timeout=60)
    assert not left
    assert not any(rank_files(process) for process in psutil.process_iter())
