"""The miniature's base with random noise in every weight: other models, and no better ones, scored by a live engine."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import diskcache
import torch
from safetensors.torch import save_file

from ama_ray.checkpoints.checkpoint import Checkpoint, read_tensors
from ama_ray.config import RunConfig
from ama_ray.miniature import ROOT
from benchmarks.real_pair.live import Live

if TYPE_CHECKING:
    from ama_ray.scores.objectives import Items

WEIGHTS = "model.safetensors"


class NoisyBase:
    """Scores copies of base on the search split of the miniature's run file; what was scored is kept on disk."""

    def __init__(self, folder: Path) -> None:
        """Opens what was scored before.

        Args:
            folder: Where it is kept.
        """
        self._known = diskcache.Cache(folder, eviction_policy="none")

    def items(self, noise: float, seed: int) -> Items:
        """The items of a copy; of base itself without noise.

        Args:
            noise: Its standard deviation, in those of each tensor.
            seed: Of the noise.
        """
        items: Items | None = self._known.get((noise, seed))
        if items is None:
            self._load(noise, seed)
            items = self._known[noise, seed] = dict(self._live.measure("search")[0].items)
        return items

    @cached_property
    def _live(self) -> Live:
        torch.set_num_threads(1)
        live = Live.open(RunConfig.load(ROOT / "run.yaml"))
        live.ask_base(["search"])
        return live

    def _load(self, noise: float, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        weights = {}
        for name, base in self._live.inputs.pair.base.stream():
            drawn = torch.randn(base.shape, generator=draw)
            weights[name] = base.float() + noise * base.float().std(correction=0) * drawn
        with tempfile.TemporaryDirectory() as folder:
            save_file(weights, Path(folder) / WEIGHTS)
            self._live.load(Checkpoint(Path(folder), read_tensors(folder), {}))
