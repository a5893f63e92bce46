"""What workers do that read the pair themselves: each gets the endpoints of its own part of the weights."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

import psutil

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.compatibility import dtype_name
from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.endpoints import Endpoints, ResidentTensor, StoredTensor
from ama_ray.engine.worker import nameless, shared_endpoints
from ama_ray.engine.worker.check_extension import CheckExtension
from ama_ray.engine.worker.load_extension import kept_in
from ama_ray.engine.worker.shared_memory import shared
from ama_ray.engine.worker.swap_extension import SwapError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    import torch

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.engine.endpoints import Span
    from ama_ray.engine.placement import Place

Kept = TypeVar("Kept", StoredTensor, ResidentTensor)


class PairExtension(CheckExtension):
    """`CheckExtension` whose arguments are all plain values, as they come from another process."""

    rank: int
    """Of this worker among those that share the weights."""
    _attached: tuple[str, dict[str, str], Place] | None = None
    """What is attached: checksum of the pair, groups, place."""
    _is_fresh: bool = True
    """Whether the live weights are those that the engine was started on."""

    def drop_names(self) -> None:
        """See `nameless.drop_names`."""
        nameless.drop_names()

    def attach_pair(self, base: str, aligned: str, checksum: str, group_of: Mapping[str, str], place: Place) -> None:
        """Attaches both endpoints, each worker its part of them.

        Those that lie on the accelerator are loaded, through vLLM. All others are in memory that the engines of a node
        share: the first of them loads them. What is attached already stays: the next client of a server need not wait
        for what this one has loaded.

        Args:
            base: Folder or hub id of base.
            aligned: The same of aligned.
            checksum: `Pair.checksum` of the two.
            group_of: Group by name of every tensor that differs between them.
            place: Where the endpoints are to lie.

        Raises:
            SwapError: They do not fit into this node's memory, or the live weights are laid out in another way.
        """
        wanted = checksum, dict(group_of), place
        if self._attached == wanted:
            return
        is_fresh, self._is_fresh, self._attached = self._is_fresh, False, None
        self.detach()  # before the next are loaded, so that never four endpoints are in memory
        pair = self._read(base, aligned)
        if place == "accelerator":
            spans = self.find_spans(pair.shapes, pair.dtypes, group_of)
            of_base = dict(self._endpoint(ResidentTensor, pair.base, pair, None))
            of_aligned = dict(self._endpoint(ResidentTensor, pair.aligned, pair, spans))
            endpoints, holds = Endpoints(of_base, of_aligned, spans), 1.0
        else:
            memory, is_mine = shared(self._name(checksum, group_of), lambda file: self._write(file, pair, group_of))
            endpoints, holds = shared_endpoints.read(memory), 1.0
            if not is_mine and is_fresh:
                holds = pair.engine_ratio
            elif not is_mine:
                self.load_checkpoint(pair.aligned)
        self.attach(endpoints, place, holds)
        self._attached = wanted

    def _read(self, base: str, aligned: str) -> Pair:
        """The pair as the run has opened it: an engine in less precision than both are stored in has them converted."""
        return Pair.read(base, aligned, dtype_name(self.model_runner.model_config.dtype))

    def _name(self, checksum: str, group_of: Mapping[str, str]) -> str:
        """The name under which engines share the endpoints: equal where these are."""
        key = [checksum, sorted(group_of.items()), self.layout(), version("ama_ray"), version("torch")]
        return f"ama_ray-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}-{self.rank}"

    def _write(self, file: BinaryIO, pair: Pair, group_of: Mapping[str, str]) -> None:
        # Weights that vLLM has narrowed are kept so.
        kept = (each.numel() * min(each.itemsize, pair.dtype.itemsize) for each in self._weights().values())
        size = 2 * sum(kept)
        # All workers of the engine are here at the same time.
        size, free = size * self.vllm_config.parallel_config.world_size, psutil.virtual_memory().available
        if size > free:
            raise SwapError(
                f"both endpoints take {size / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; use a machine "
                "with more, or more GPUs, on which they fit (docs/speed.md)"
            )
        spans = self.find_spans(pair.shapes, pair.dtypes, group_of)

        def tensors() -> Iterator[tuple[shared_endpoints.End, str, StoredTensor]]:
            for name, stored in self._endpoint(StoredTensor, pair.base, pair, None):
                yield "base", name, stored
            for name, stored in self._endpoint(StoredTensor, pair.aligned, pair, spans):
                yield "aligned", name, stored

        shared_endpoints.write(file, spans, tensors())

    def _endpoint(
        self, kind: type[Kept], checkpoint: Checkpoint, pair: Pair, spans: Mapping[str, tuple[Span, ...]] | None
    ) -> Iterator[tuple[str, Kept]]:
        self.load_checkpoint(checkpoint)
        for name, live in self._weights().items():
            yield name, kind.of(live, kept_in(name, live, pair.dtype), spans[name] if spans else None)

    def count_pair(self, base: str, aligned: str, wanted: Sequence[str]) -> dict[str, list[int]]:
        """See `count`; the shapes are those of a pair."""
        return self.count(self._read(base, aligned).shapes, wanted)

    def load_merge(self, base: str, aligned: str, ratio_of: Mapping[str, float]) -> None:
        """Loads a merge as vLLM would load its export, tensor by tensor; for the deep check, after `count`.

        A tensor that the engine keeps in a narrower precision than its checkpoint is narrowed first, as the endpoints
        of a swap are: it is one rounding away from the export, and that is known.

        Args:
            base: Folder or hub id of base.
            aligned: The same of aligned.
            ratio_of: Share of aligned by name of every averaged tensor.
        """
        pair = self._read(base, aligned)

        def merged() -> Iterator[tuple[str, torch.Tensor]]:
            for _, tensors in pair.shards():
                for name, low, high in tensors:
                    kept = self._home.get(name, high.dtype)
                    narrow = kept if kept.itemsize < high.dtype.itemsize else high.dtype
                    is_averaged = name in ratio_of
                    yield name, interpolate(low.to(narrow), high.to(narrow), ratio_of[name]) if is_averaged else high

        self._load(merged)
