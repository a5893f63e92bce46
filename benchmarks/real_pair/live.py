"""One engine in this process, with the pair of a run file, and all that is asked of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.engine.in_process import InProcessEngine
from ama_ray.evaluation.inputs import Inputs
from benchmarks.speed.swap import endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.config import RunConfig
    from ama_ray.config.data import Split
    from ama_ray.evaluation.evaluation import Answers, Evaluation, Measured


@dataclass
class Live:
    """The engine, with its weights swapped or loaded at will.

    Attributes:
        inputs: The opened run.
    """

    inputs: Inputs

    def __post_init__(self) -> None:
        inputs = self.inputs
        self._engine = InProcessEngine(inputs.pair.engine_folder, inputs.config.engine, inputs.context_length)
        self._base: dict[Split, Answers] = {}

    @classmethod
    def open(cls, config: RunConfig) -> Live:
        """Opens a run and starts its engine."""
        return cls(Inputs.open(config))

    def attach(self) -> None:
        """Makes the pair ready for `swap`."""
        self._engine.attach(endpoints(self._engine, self.inputs.pair, self.inputs.groups))

    def swap(self, ratios: Sequence[float]) -> None:
        """Swaps in a merge, one ratio per group in the order of the groups."""
        self._engine.swap(dict(zip(self.inputs.groups.names, ratios, strict=True)))

    def load(self, checkpoint: Checkpoint) -> None:
        """Loads a checkpoint as it is."""
        self._engine.load_checkpoint(checkpoint)

    def ask_base(self, splits: Sequence[Split]) -> None:
        """Loads base and asks it; taxes are measured from its answers later on."""
        self.load(self.inputs.pair.base)
        self._base = {split: self._evaluation(split).ask(self._engine) for split in splits}

    def measure(self, split: Split) -> tuple[Measured, float]:
        """Asks and scores the weights that are live; with the wall seconds it took."""
        start = time.perf_counter()
        measured = self._evaluation(split).evaluate(self._engine, lambda: self._base[split])
        return measured, time.perf_counter() - start

    def _evaluation(self, split: Split) -> Evaluation:
        return self.inputs.evaluations[split]
