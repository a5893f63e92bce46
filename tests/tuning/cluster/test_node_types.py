"""Whether a pair fits on the nodes of a cluster file, and what a run takes there, against sums by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ray.util.accelerators import accelerators

from ama_ray.config import EngineSettings, RunConfig
from ama_ray.engine.placement import Load, decide
from ama_ray.errors import UserError
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from ama_ray.tuning.budget import Costs
from ama_ray.tuning.cluster.node_types import fits, read_node_types
from ama_ray.tuning.cluster.planned_run import (
    COMPUTING,
    DEVICES,
    READING,
    STREAMING,
    TOGETHER,
    Asked,
    Device,
    PlannedEngine,
    on_one_engine,
)
from scripts.placement import SHAPES, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.engine.placement import Place
    from ama_ray.tuning.cluster.node_types import NodeType

CLUSTER = Path(__file__).parents[3] / "cluster.yaml"
GB = 10**9
ROUND = Device(memory=100e9, operations=1e15, bandwidth=1e12)
"""With 0.4e15 operations and 0.6e12 bytes a second."""


@pytest.fixture(scope="module")
def miniature() -> Inputs:
    return Inputs.open(RunConfig.load(ROOT / "run.yaml"))


@pytest.fixture
def on(miniature: Inputs) -> Callable[..., Inputs]:
    def changed(**engine: Any) -> Inputs:
        settings = miniature.config.engine.model_copy(update=engine)
        return replace(miniature, config=miniature.config.model_copy(update={"engine": settings}))

    return changed


def write(folder: Path, types: Any) -> Path:
    (folder / "cluster.yaml").write_text(yaml.safe_dump({"available_node_types": types}, sort_keys=False))
    return folder / "cluster.yaml"


def with_large(most: int) -> dict[str, Any]:
    """The node types of cluster.yaml, where so many of eight H100 may start."""
    types: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())["available_node_types"]
    types["h100x8"]["max_workers"] = most
    return types


def test_reading_is_bound_by_operations() -> None:
    # 8e9 parameters: 16e9 operations a token, 0.4e15 a second.
    engine = PlannedEngine(ROUND, Load(16 * GB, 16 * GB, 0), "accelerator", 0.5)
    assert engine.seconds(Asked(read=10**6, generated=0, replies=0)) == pytest.approx(40)


@pytest.mark.parametrize(("place", "streamed"), [("accelerator", 0), ("split", 1), ("pinned", 2), ("object_store", 2)])
def test_a_swap_streams_what_is_in_host_memory(place: Place, streamed: int) -> None:
    engine = PlannedEngine(ROUND, Load(16 * GB, 10 * GB, 0), place, 0.5)
    assert engine.seconds(Asked(0, 0, 0)) == pytest.approx(streamed * 0.5)


def test_generating_is_bound_by_memory_until_many_reply_together() -> None:
    engine = PlannedEngine(ROUND, Load(weights=18 * GB, endpoint=18 * GB, request=0), "accelerator", 0.5)
    # 18e9 bytes in 30 ms a step.
    assert engine.seconds(Asked(0, 1000, replies=1)) == pytest.approx(30)
    assert engine.seconds(Asked(0, 1000, replies=10)) == pytest.approx(3)
    assert replace(engine, together=5).seconds(Asked(0, 1000, replies=10)) == pytest.approx(6)
    # With 10,000 at once a token takes its operations: 18e9 of 0.4e15.
    assert replace(engine, together=10**4).seconds(Asked(0, 10**6, replies=10**4)) == pytest.approx(45)


def test_the_cache_bounds_how_many_reply_together() -> None:
    # Half of 100e9 less the weights and 2 GiB: room for 14 requests of 2e9, which on the average are half full.
    engine = PlannedEngine(ROUND, Load(weights=18 * GB, endpoint=18 * GB, request=2 * GB), "accelerator", 0.5)
    assert engine.seconds(Asked(0, 1000, replies=100)) == pytest.approx(1000 * (18 + 14) / 600 / 14)


def test_ray_knows_every_gpu_by_this_name() -> None:
    assert {*DEVICES} <= {value for name, value in vars(accelerators).items() if name.startswith("NVIDIA")}


def test_what_cluster_yaml_says_of_its_nodes() -> None:
    """8B on an L4, 32B on an H100, 70B on eight of them."""
    small, large = read_node_types(CLUSTER)
    assert (str(small), str(large)) == ("l4 (1 x L4)", "h100x8 (8 x H100)")
    share = EngineSettings().gpu_memory_utilization

    def place(node: NodeType, name: str) -> str:
        where, _ = decide(
            load(SHAPES[name], node.gpus if name.startswith("70B") else 1), int(DEVICES[node.device].memory), share
        )
        return where

    assert place(small, "8B (Llama 3)") == "pinned"
    assert place(large, "8B (Llama 3)") == "accelerator"
    assert place(large, "32B (Qwen 2.5)") == "pinned"
    assert place(large, "70B (Llama 3)") == "accelerator"
    with pytest.raises(UserError, match="share the model among several"):
        place(small, "32B (Qwen 2.5)")


def test_how_many_start_is_read_as_ray_reads_it(tmp_path: Path) -> None:
    gpu = {"GPU": 1, "accelerator_type:L4": 1}
    types = {"head": {"resources": gpu}, "said": {"resources": gpu, "max_workers": 0}, "unsaid": {"resources": gpu}}
    file = tmp_path / "cluster.yaml"
    for fields, workers in (({"max_workers": 7}, 7), ({}, 2)):
        file.write_text(yaml.safe_dump({"head_node_type": "head", "available_node_types": types} | fields))
        assert [(node.name, node.most) for node in read_node_types(file)] == [
            ("head", 1),
            ("said", 0),
            ("unsaid", workers),
        ]


def test_a_run_is_all_its_trials(on: Callable[..., Inputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a second a token, a trial takes as many seconds as tokens, and a run what its budget would have to be."""
    monkeypatch.setattr(PlannedEngine, "seconds", lambda _, asked: float(asked.read + asked.generated))
    inputs = on(gpus=2)
    costs = Costs.of(inputs.config, inputs.evaluations)
    whole = costs.least + (inputs.config.trials - 3) * costs.search + inputs.config.report.points * costs.report
    small, large = fits(inputs, write(tmp_path, with_large(most=1)))
    assert small.endswith("does not fit: engine.gpus: 2 GPUs of one node share a model; this one has 1.")
    assert f"a trial of the search takes {costs.search:,} s" in large
    assert f"the run {whole / 4 / 3600:,.0f} node hours, with 4 engines on each node; 1 may start" in large


def test_what_fits_is_said_for_each_type(on: Callable[..., Inputs]) -> None:
    small, large = fits(on(), CLUSTER)
    assert small.startswith("l4 (1 x L4): fits, with both endpoints on the GPU; estimated by arithmetic: ")
    assert small.endswith("node hours, with 1 engine on each node; 4 may start")
    assert large.endswith("node hours, with 8 engines on each node; none starts, as its max_workers is 0")


def test_what_fits_nowhere_is_refused(
    on: Callable[..., Inputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Load, "of", lambda *_: Load(64 * GB, 64 * GB, GB))
    with pytest.raises(UserError, match=r"fits on none of the nodes that may start\.\nl4 .*64\.0 GB.*\nh100x8 .*fits"):
        fits(on(), CLUSTER)
    small, large = fits(on(), write(tmp_path, with_large(most=1)))
    assert "l4 (1 x L4): does not fit: engine: on each GPU the weights take 64.0 GB" in small
    assert "h100x8 (8 x H100): fits, with both endpoints streamed" in large


@pytest.mark.parametrize(("engine", "words"), [({"gpus": 0}, r"engine\.gpus: "), ({"url": ("a",)}, r"engine\.url: ")])
def test_a_run_without_gpus_of_its_own_is_refused(engine: Any, words: str, on: Callable[..., Inputs]) -> None:
    with pytest.raises(UserError, match=words + "such a run takes no GPU of a cluster's nodes; leave --cluster out"):
        fits(on(**engine), CLUSTER)


@pytest.mark.parametrize(
    ("types", "words"),
    [
        (None, "has no available_node_types; give the file of a Ray cluster"),
        ({"head": {"resources": {"CPU": 4}}}, "no node type has a GPU"),
        ({"a": {"resources": {"GPU": 1}}}, r"available_node_types\.a: its resources must name its GPU"),
        ({"a": {"resources": {"GPU": 1, "accelerator_type:X9": 1}}}, r"must name its GPU.*known are .*L4.*H100"),
    ],
)
def test_a_cluster_file_that_is_off_is_refused(types: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        read_node_types(write(tmp_path, types))


def test_a_cluster_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: No such file or directory; give the file of a Ray cluster"):
        read_node_types(tmp_path / "none.yaml")


def test_the_page_has_every_gpu_and_every_assumption() -> None:
    page = (CLUSTER.parent / "docs" / "cluster.md").read_text(encoding="utf-8")
    for name, gpu in DEVICES.items():
        row = f"| {name} | {gpu.memory / 1e9:g} GB | {gpu.operations / 1e12:g} | {gpu.bandwidth / 1e12:g} |"
        assert row in page
    said = " ".join(page.split())
    assert f"{COMPUTING:.0%} of the first" in said
    assert f"{READING:.0%} of the second" in said
    assert f"at most {TOGETHER} replies" in said
    assert f"{STREAMING / 1e9:g} GB a second" in said


def test_hours_on_one_engine_are_told_of_every_gpu_that_is_large_enough(
    on: Callable[..., Inputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pair of 8B: with a second a token, the hours are the tokens that its budget would have to have."""
    inputs = on()
    assert list(on_one_engine(inputs)) == []  # of the miniature the arithmetic says nothing
    monkeypatch.setattr(PlannedEngine, "seconds", lambda _, asked: float(asked.read + asked.generated))
    monkeypatch.setattr(Load, "of", lambda *_: load(SHAPES["8B (Llama 3)"], 1))
    costs = Costs.of(inputs.config, inputs.evaluations)
    hours = (costs.least + 37 * costs.search + 10 * costs.report) / 3600
    (line,) = on_one_engine(inputs)
    assert line.startswith("time on one GPU, estimated by arithmetic and not measured: ")
    assert f"{hours:,.0f} h on L4" in line
    assert f"{hours:,.0f} h on H100" in line
    monkeypatch.setattr(Load, "of", lambda *_: load(SHAPES["32B (Qwen 2.5)"], 1))
    assert "; too small: A10G, L4" in next(iter(on_one_engine(inputs)))
    assert list(on_one_engine(on(gpus=0))) == []
    assert list(on_one_engine(on(url=("http://a:1",)))) == []
    assert "one engine of 2 GPUs" in next(iter(on_one_engine(on(gpus=2))))


def test_the_faqs_example_is_this_arithmetic() -> None:
    """docs/faq.md: 256 prompts of 256 tokens each, 2,000 items of 150 tokens, 8B in bfloat16 on an H100."""
    text = (CLUSTER.parent / "docs" / "faq.md").read_text(encoding="utf-8")
    whole = load(SHAPES["8B (Llama 3)"], 1)
    # Prompt and reply are 512 tokens together, each of 32 layers of 8 heads of 128 numbers, twice, in 16 bits.
    engine = PlannedEngine.on(DEVICES["H100"], replace(whole, request=512 * 32 * 8 * 128 * 2 * 2), EngineSettings())
    probes = engine.seconds(Asked(300_000, 0, 0))
    replies = engine.seconds(Asked(0, 256 * 256, 256))
    assert f"they take {probes:.0f} s" in text
    assert f"so they take {replies:.0f} s" in text
