"""What workers do that read the pair themselves: each gets the endpoints of its own part of the weights."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from ama_ray.checkpoints.arithmetic import merge
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
    _attached: tuple[str, list[dict[str, str]], Place] | None = None
    """What is attached: checksum of the pair, numbers, place."""
    _is_fresh: bool = True
    """Whether the live weights are those that the engine was started on."""

    def drop_names(self) -> None:
        """See `nameless.drop_names`."""
        nameless.drop_names()

    def attach_pair(
        self, sources: Mapping[str, Any], checksum: str, numbers: Sequence[Mapping[str, str]], place: Place
    ) -> None:
        """Attaches the endpoints, each worker its part of them.

        Those that lie on the accelerator are loaded, through vLLM. All others are in memory that the engines of a node
        share: the first of them loads them. What is attached already stays: the next client of a server need not wait
        for what this one has loaded.

        Args:
            sources: What opens them (`Pair.sources`).
            checksum: `Pair.checksum` of these.
            numbers: Of every aligned model, the number of each tensor that differs from base.
            place: Where the endpoints are to lie.

        Raises:
            SwapError: They do not fit into this node's memory, or the live weights are laid out in another way.
        """
        wanted = checksum, [dict(of_model) for of_model in numbers], place
        if self._attached == wanted:
            return
        is_fresh, self._is_fresh, self._attached = self._is_fresh, False, None
        self.detach()  # before the next are loaded, so that never two sets of endpoints are in memory
        pair = self._read(sources)
        holds = len(numbers)  # whatever is loaded last
        if place == "accelerator":
            spans = self.find_spans(pair.shapes, pair.dtypes, numbers)
            base, *aligned = (
                dict(self._endpoint(ResidentTensor, each, pair, of_each))
                for each, of_each in zip(pair.endpoints, (None, *spans), strict=True)
            )
            endpoints = Endpoints(base, aligned, spans)
        else:
            memory, is_mine = shared(self._name(checksum, numbers), lambda file: self._write(file, pair, numbers))
            endpoints = shared_endpoints.read(memory)
            if not is_mine and is_fresh:
                holds = pair.starts_on
            elif not is_mine:
                self.load_checkpoint(pair.endpoints[holds])
        self.attach(endpoints, place, holds)
        self._attached = wanted

    def _read(self, sources: Mapping[str, Any]) -> Pair:
        """The pair as the run has opened it: an engine in less precision than all are stored in has them converted."""
        return Pair.read(**sources, dtype=dtype_name(self.model_runner.model_config.dtype))

    def _name(self, checksum: str, numbers: Sequence[Mapping[str, str]]) -> str:
        """The name under which engines share the endpoints: equal where these are."""
        of_models = [sorted(of_model.items()) for of_model in numbers]
        key = [checksum, of_models, self.layout(), version("ama_ray"), version("torch")]
        return f"ama_ray-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}-{self.rank}"

    def _write(self, file: BinaryIO, pair: Pair, numbers: Sequence[Mapping[str, str]]) -> None:
        # Weights that vLLM has narrowed are kept so.
        kept = (each.numel() * min(each.itemsize, pair.dtype.itemsize) for each in self._weights().values())
        size = len(pair.endpoints) * sum(kept)
        # All workers of the engine are here at the same time.
        size, free = size * self.vllm_config.parallel_config.world_size, psutil.virtual_memory().available
        if size > free:
            raise SwapError(
                f"{'both' if len(numbers) == 1 else 'all'} endpoints take {size / 1e9:.1f} GB of memory, and "
                f"{free / 1e9:.1f} GB are free; use a machine with more, or more GPUs, on which they fit "
                "(docs/speed.md)"
            )
        spans = self.find_spans(pair.shapes, pair.dtypes, numbers)

        def tensors() -> Iterator[tuple[int, str, StoredTensor]]:
            for end, (checkpoint, of_each) in enumerate(zip(pair.endpoints, (None, *spans), strict=True)):
                for name, stored in self._endpoint(StoredTensor, checkpoint, pair, of_each):
                    yield end, name, stored

        shared_endpoints.write(file, spans, tensors())

    def _endpoint(
        self, kind: type[Kept], checkpoint: Checkpoint, pair: Pair, spans: Mapping[str, tuple[Span, ...]] | None
    ) -> Iterator[tuple[str, Kept]]:
        self.load_checkpoint(checkpoint)
        for name, live in self._weights().items():
            yield name, kind.of(live, kept_in(name, live, pair.dtype), spans[name] if spans else None)

    def count_pair(self, sources: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, list[int]]:
        """See `count`; the shapes are those of a pair."""
        return self.count(self._read(sources).shapes, wanted)

    def load_merge(self, sources: Mapping[str, Any], shares_of: Mapping[str, Sequence[float]]) -> None:
        """Loads a merge as vLLM would load its export, tensor by tensor; for the deep check, after `count`.

        A tensor that the engine keeps in a narrower precision than its checkpoint is narrowed first, as the endpoints
        of a swap are: it is one rounding away from the export, and that is known.

        Args:
            sources: What opens the checkpoints (`Pair.sources`).
            shares_of: Share of each aligned model by name of every averaged tensor.
        """
        pair = self._read(sources)

        def merged() -> Iterator[tuple[str, torch.Tensor]]:
            for _, tensors in pair.shards():
                for name, base, aligned in tensors:
                    first = aligned[0]
                    kept = self._home.get(name, first.dtype)
                    narrow = kept if kept.itemsize < first.dtype.itemsize else first.dtype
                    if name not in shares_of:
                        yield name, first
                        continue
                    yield name, merge(base.to(narrow), [each.to(narrow) for each in aligned], shares_of[name])

        self._load(merged)
