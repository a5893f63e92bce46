"""What workers outside Ray do besides: each reads the pair itself, and keeps both endpoints in memory of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.pair import Pair
from ama_ray.engine.endpoints import Endpoints, StoredTensor
from ama_ray.engine.worker.check_extension import CheckExtension
from ama_ray.engine.worker.load_extension import kept_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.engine.endpoints import Span
    from ama_ray.engine.placement import Place


class PairExtension(CheckExtension):
    """`CheckExtension` whose arguments are all plain values, as they come from another process."""

    _attached: tuple[str, dict[str, str], Place] | None = None
    """What is attached: checksum of the pair, groups, place."""

    def attach_pair(self, base: str, aligned: str, checksum: str, group_of: Mapping[str, str], place: Place) -> None:
        """Loads both endpoints through vLLM, each worker its part of them, and attaches them.

        What is attached already stays: the next client of a server need not wait for what this one has loaded.

        Args:
            base: Folder or hub id of base.
            aligned: The same of aligned.
            checksum: `Pair.checksum` of the two.
            group_of: Group by name of every tensor that differs between them.
            place: Where the endpoints are to lie.
        """
        wanted = checksum, dict(group_of), place
        if self._attached == wanted:
            return
        self._attached = None
        self.detach()  # before the next are loaded, so that never four endpoints are in memory
        pair = Pair.read(base, aligned)
        spans = self.find_spans(pair.shapes, pair.dtypes, group_of)
        of_base, of_aligned = self._endpoint(pair.base, pair, None), self._endpoint(pair.aligned, pair, spans)
        self.attach(Endpoints(of_base, of_aligned, spans), place)
        self._attached = wanted

    def _endpoint(
        self, checkpoint: Checkpoint, pair: Pair, spans: Mapping[str, tuple[Span, ...]] | None
    ) -> dict[str, StoredTensor]:
        self.load_checkpoint(checkpoint)
        stored = {}
        for name, live in self._weights().items():
            of_one = StoredTensor.of(live, kept_in(name, live, pair.dtype), spans[name] if spans else None)
            is_view = of_one.array.ctypes.data == live.data_ptr()
            stored[name] = replace(of_one, array=of_one.array.copy()) if is_view else of_one
        return stored

    def count_pair(self, base: str, aligned: str, wanted: Sequence[str]) -> dict[str, int]:
        """See `count`; the shapes are those of a pair."""
        return self.count(Pair.read(base, aligned).shapes, wanted)

    def load_merge(self, base: str, aligned: str, ratio_of: Mapping[str, float]) -> None:
        """Loads a merge as vLLM would load its export, tensor by tensor; for the deep check, after `count`.

        A tensor that the engine keeps in a narrower precision than its checkpoint is narrowed first, as the endpoints
        of a swap are: it is one rounding away from the export, and that is known.

        Args:
            base: Folder or hub id of base.
            aligned: The same of aligned.
            ratio_of: Share of aligned by name of every averaged tensor.
        """
        pair = Pair.read(base, aligned)

        def merged() -> Iterator[tuple[str, torch.Tensor]]:
            for _, tensors in pair.shards():
                for name, low, high in tensors:
                    kept = self._home.get(name, high.dtype)
                    narrow = kept if kept.itemsize < high.dtype.itemsize else high.dtype
                    is_averaged = name in ratio_of
                    yield name, interpolate(low.to(narrow), high.to(narrow), ratio_of[name]) if is_averaged else high

        self._load(merged)
