"""What a run takes on a GPU, by arithmetic from the GPU's data sheet, before anything was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.engine.placement import ON_ACCELERATOR, WORKING, Load, Place, decide
from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.evaluation import work
from ama_ray.tuning.budget import TWINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ama_ray.config import EngineSettings
    from ama_ray.engine.requests import Request
    from ama_ray.evaluation.inputs import Inputs


@dataclass(frozen=True)
class Device:
    """A GPU, by its maker's data sheet.

    Attributes:
        memory: Bytes, as it is sold.
        operations: Most floating-point operations per second in bfloat16, without sparsity.
        bandwidth: Most bytes per second between it and its memory.
    """

    memory: float
    operations: float
    bandwidth: float


DEVICES = {
    "A10G": Device(24e9, 70e12, 600e9),
    "L4": Device(24e9, 121e12, 300e9),
    "L40S": Device(48e9, 362e12, 864e9),
    "A100-40G": Device(40e9, 312e12, 1555e9),
    "A100-80G": Device(80e9, 312e12, 2039e9),
    "H100": Device(80e9, 989e12, 3350e9),
    "H200": Device(141e9, 989e12, 4800e9),
    "B200": Device(180e9, 2250e12, 8000e9),
}
"""By the name that Ray has for them (`ray.util.accelerators`); those of several builds as in servers (SXM)."""
COMPUTING = 0.4
"""Share of a GPU's most operations that an engine reaches: an assumption."""
READING = 0.6
"""Share of a GPU's most bytes per second that an engine reaches where it generates: an assumption."""
TOGETHER = 256
"""Most replies that are generated together where `engine.max_num_seqs` does not say: an assumption."""
STREAMING = 20e9
"""Bytes per second that a swap reads from host memory, on each GPU: an assumption."""
SMALLEST = 1e9
"""Bytes of a model below which an engine is ruled by what this arithmetic leaves out."""
PLACES: dict[Place, str] = {
    "accelerator": "both endpoints on the GPU",
    "split": "base on the GPU, aligned streamed",
    "pinned": "both endpoints streamed",
    "object_store": "both endpoints streamed",
}
"""Where endpoints lie, in words."""


@dataclass(frozen=True)
class Asked:
    """What is asked of an engine.

    Attributes:
        read: Tokens that it reads.
        generated: Tokens that it generates, at most.
        replies: In how many replies.
    """

    read: int
    generated: int
    replies: int

    @classmethod
    def of(cls, requests: Iterable[Request]) -> Asked:
        """Counts the requests of a trial."""
        requests = list(requests)
        replies = sum(request.n for request in requests if isinstance(request, Generation))
        return cls(sum(map(work.read, requests)), sum(map(work.generated, requests)), replies)


@dataclass(frozen=True)
class PlannedEngine:
    """An engine, as far as a trial's time is known without one.

    Attributes:
        device: Its GPUs.
        load: What the model takes of each of them.
        where: Where the endpoints lie.
        share: The share of a GPU's memory that is vLLM's.
        together: The most replies that are generated together.
    """

    device: Device
    load: Load
    where: Place
    share: float
    together: int = TOGETHER

    @classmethod
    def on(cls, device: Device, load: Load, settings: EngineSettings) -> PlannedEngine:
        """The engine of a run.

        Raises:
            UserError: The model does not fit.
        """
        where, share = decide(load, int(device.memory), settings.gpu_memory_utilization, settings.endpoints)
        return cls(device, load, where, share, settings.max_num_seqs or TOGETHER)

    def seconds(self, asked: Asked) -> float:
        """What a trial takes it.

        A token takes two operations for each parameter of 16 bits, and so one for each byte of the weights. A step that
        generates reads the weights, and half of the cache that replies as long as the context would fill.
        """
        weights, request = self.load.weights, self.load.request
        token = weights / (COMPUTING * self.device.operations)
        cache = self.share * self.device.memory - weights - WORKING
        side_by_side = max(1, min(self.together, asked.replies, cache // request if request else self.together))
        step = (weights + side_by_side * request / 2) / (READING * self.device.bandwidth)
        swap = (2 - sum(ON_ACCELERATOR[self.where])) * self.load.endpoint / STREAMING
        return swap + asked.read * token + asked.generated * max(token, step / side_by_side)


@dataclass(frozen=True)
class PlannedRun:
    """A whole run on one engine, as far as its time is known before.

    Attributes:
        engine: The engine.
        search: Seconds of a trial of the search.
        seconds: Of all trials one after the other, the report's included.
    """

    engine: PlannedEngine
    search: float
    seconds: float

    @classmethod
    def on(cls, device: Device, inputs: Inputs, load: Load) -> PlannedRun:
        """The run on such GPUs.

        Raises:
            UserError: The model does not fit.
        """
        config = inputs.config
        engine = PlannedEngine.on(device, load, config.engine)
        search, report, trade = (
            engine.seconds(Asked.of(inputs.evaluations[name].requests)) for name in ("search", "report", "trade")
        )
        # Base's answers come first on both splits.
        ends, reported = config.first_points - 1, 1 + config.baseline_points + TWINS + config.report.points
        seconds = (1 + ends) * trade + (config.trials - ends) * search + reported * report
        return cls(engine, search, seconds)


def on_one_engine(inputs: Inputs) -> Iterator[str]:
    """Yields a line with the hours of the run on one engine of each GPU that is known; none for a small model."""
    settings = inputs.config.engine
    if settings.url or settings.gpus == 0:
        return
    load = Load.of(inputs.pair.engine_folder, settings, inputs.context_length)
    if load.endpoint < SMALLEST:
        return
    hours, small = [], []
    for name, device in DEVICES.items():
        try:
            hours.append(f"{figure(PlannedRun.on(device, inputs, load).seconds / 3600)} h on {name}")
        except UserError:
            small.append(name)
    each = "one GPU" if settings.ranks == 1 else f"one engine of {settings.ranks} GPUs"
    fits = f"time on {each}, estimated by arithmetic and not measured: {', '.join(hours) or 'it fits on none'}"
    yield fits + (f"; too small: {', '.join(small)}" if hours and small else "")


def figure(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
