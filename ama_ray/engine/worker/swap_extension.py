"""The worker extension: runs inside vLLM's worker, beside the live weights. Raises naming every tensor that is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ama_ray.engine.placement import LOCKED, ON_ACCELERATOR
from ama_ray.engine.worker import target_scorer
from ama_ray.engine.worker.aligned_parameter import AlignedParameter, together
from ama_ray.engine.worker.comparison import is_endpoint
from ama_ray.engine.worker.host_lock import HostLock
from ama_ray.engine.worker.interpolation import Piece, write
from ama_ray.engine.worker.load_extension import LoadExtension, SwapError, stored_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.engine.endpoints import Endpoints
    from ama_ray.engine.placement import Place

__all__ = ["SwapError", "SwapExtension", "check_cache"]

SAMPLES_PER_PARAMETER = 32
"""Elements of each parameter that the checksum looks at after every swap."""


def check_cache(is_empty: bool) -> None:
    """Refuses an engine whose prefix cache may be of the weights before.

    Args:
        is_empty: Whether vLLM has emptied it.

    Raises:
        SwapError: It has not.
    """
    if not is_empty:
        raise SwapError("vLLM did not reset its prefix cache, so what it answers could be of other weights")


class SwapExtension(LoadExtension):
    """`LoadExtension` that merges endpoints."""

    _lock: HostLock | None = None

    def score_targets(self) -> None:
        """See `target_scorer.score_targets`."""
        target_scorer.score_targets(self.model_runner)

    def attach(self, endpoints: Endpoints, place: Place, holds: int = 1) -> None:
        """Maps the endpoints; from here on `swap` writes the live weights.

        The endpoints may be from another engine, whose kernels lay their weights out in another way: on another GPU
        two halves may be swapped, which no size tells. So the live weights must be the endpoint that they were loaded
        from, all of them.

        Args:
            endpoints: In this engine's layout.
            place: Where they are to lie while trials run.
            holds: Which endpoint is live: 0 for base, 1 for the first aligned model.

        Raises:
            SwapError: A parameter is missing, empty (packed by a kernel), of another size, or not what the endpoint
                has for it.
        """
        self._loaded_buffers = frozenset(name for name, _ in self._buffers()) & endpoints.base.keys()
        self._take_over(endpoints, holds)
        live = self._weights()
        for side in (endpoints.base, *endpoints.aligned):
            if odd := sorted(live.keys() ^ side.keys()):
                raise SwapError(f"these parameters are not in both the engine and the endpoints: {', '.join(odd)}")
        self.detach()
        of_base, of_aligned = ON_ACCELERATOR[place]
        self._numbers = sorted({span.number for side in endpoints.spans for of in side.values() for span in of})
        samples: list[tuple[torch.Tensor, ...]] = []
        others: list[str] = []
        for name, parameter in live.items():
            flat, base = parameter.data.view(-1), endpoints.base[name].tensor()
            sides = [AlignedParameter(of[name].tensor(), spans[name]) for of, spans in endpoints.each]
            if flat.numel() != base.numel() or not all(side.is_whole for side in sides):
                raise SwapError(f"{name} has {flat.numel()} elements live, {base.numel()} in the endpoints")
            if any(side.spans for side in sides):
                # A base in another precision is converted to aligned's, as in an export; else this is no copy.
                base = base.to(sides[0].values.dtype)
            if not is_endpoint(flat, base, sides[holds - 1] if holds else None):
                others.append(name)
            for (start, end), parts in together(sides).items():
                base_here = base[start:end].to(self.device if of_base else base.device)
                aligned = tuple(part.to(self.device if of_aligned else part.device) for _, part in parts)
                self._pieces.append(Piece(tuple(number for number, _ in parts), base_here, aligned, flat[start:end]))
            samples.append(self._sample(sides, base, flat))
        if others:
            raise SwapError(
                "this engine has loaded these parameters in another layout than the one that the endpoints are from: "
                f"{', '.join(others)}"
            )
        if place in LOCKED:
            self._lock = HostLock.on(end for piece in self._pieces for end in piece.ends if end.is_cpu)
        self._stored = {name: stored.dtype for name, stored in endpoints.base.items()}
        self._sizes = {name: parameter.numel() for name, parameter in live.items()}
        self._sample_base, self._sample_eps, self._sample_aligned, self._sample_number = (
            torch.cat(of_all, -1).to(self.device) for of_all in zip(*samples, strict=True)
        )

    def _take_over(self, endpoints: Endpoints, holds: int) -> None:
        """Finds out what is handed over, and which parameters that makes up: those that no endpoint has.

        Raises:
            SwapError: Handing over the endpoint that is live does not leave there what is there.
        """
        ends = endpoints.aligned[holds - 1] if holds else endpoints.base
        self._stored_tensors = {
            stored: ends[name].tensor().view(shape).to(self.device, copy=True)
            for name, (stored, shape) in stored_shapes(ends).items()
        }
        self._derived = frozenset()
        if not self._stored_tensors:
            return
        live = self._weights()
        derived = {name: live[name] for name in live.keys() - endpoints.base.keys()}
        before = {name: tensor.clone() for name, tensor in derived.items()}
        for tensor in derived.values():
            tensor.zero_()
        self._fill(self._stored_tensors)
        if odd := sorted(name for name, tensor in derived.items() if not torch.equal(tensor, before[name])):
            raise SwapError(f"vLLM does not load these parameters a second time as at its start: {', '.join(odd)}")
        self._derived = frozenset(derived)

    def detach(self) -> None:
        """Lets go of the endpoints; until others are attached, there is nothing to swap.

        Their memory is unlocked before it is freed: CUDA would take what comes to lie there next for what it locked.
        """
        if self._lock is not None:
            self._lock.release()
        self._lock = None
        self._pieces: list[Piece] = []
        self._live_ratios = {}

    def _sample(
        self, sides: Sequence[AlignedParameter], base: torch.Tensor, live: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Endpoint values, rounding unit and numbers at the sampled positions of one parameter.

        Returns:
            Of base and the rounding unit, shape (samples,); of the aligned models and their numbers, shape (models,
            samples).
        """
        where = self._positions(live).cpu()
        at_base = base[where].double().cpu()
        at_aligned = at_base.repeat(len(sides), 1)  # what is in no span is equal to base
        numbers = torch.full(at_aligned.shape, len(self._numbers))
        for values, number, side in zip(at_aligned, numbers, sides, strict=True):
            first = 0
            for span in side.spans:
                inside = (where >= span.start) & (where < span.end)
                number[inside] = self._numbers.index(span.number)
                values[inside] = side.values[first + where[inside] - span.start].double().cpu()
                first += span.end - span.start
        eps = max(torch.finfo(base.dtype).eps, torch.finfo(live.dtype).eps)
        return at_base, torch.full_like(at_base, eps), at_aligned, numbers

    @staticmethod
    def _positions(live: torch.Tensor) -> torch.Tensor:
        count = min(SAMPLES_PER_PARAMETER, live.numel())
        return torch.linspace(0, live.numel() - 1, count, dtype=torch.double, device=live.device).long()

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Writes the merge of the endpoints into the live weights, and verifies a sample of all of it.

        What has its ratios already is left alone.

        Args:
            ratios: Share of an aligned model by number (`Span.number`).

        Raises:
            SwapError: A sampled element is not the expected merge to within one rounding.
        """
        stale = {number for number in self._numbers if self._live_ratios.get(number) != ratios[number]}
        self._live_ratios = {}
        with torch.no_grad():
            write(
                (
                    (piece, [ratios[number] for number in piece.numbers])
                    for piece in self._pieces
                    if not stale.isdisjoint(piece.numbers)
                ),
                locked=self._lock is not None,
            )
            if stale and self._stored_tensors and self._derived - self._fill(self._stored_tensors):
                raise SwapError(f"vLLM did not take these tensors again: {', '.join(self._stored_tensors)}")
        self.verify(ratios)
        self._live_ratios = dict(ratios)

    def verify(self, ratios: Mapping[str, float]) -> None:
        """Compares a sample of every live parameter with the merge in float64.

        Raises:
            SwapError: A sampled element is off by more than one rounding, or the parameters are not those attached.
        """
        live = {name: parameter.data.reshape(-1) for name, parameter in self._weights().items()}
        sizes = {name: flat.numel() for name, flat in live.items()}
        if odd := sorted({name for name, _ in sizes.items() ^ self._sizes.items()}):
            raise SwapError(f"these parameters are not those that the endpoints were attached to: {', '.join(odd)}")
        seen = torch.cat([flat[self._positions(flat)].double() for flat in live.values()])
        by_number = torch.tensor([*(ratios[number] for number in self._numbers), 0.0], dtype=torch.double)
        shares = by_number.to(seen.device)[self._sample_number]
        left = 1 - shares.sum(0)
        expected = left * self._sample_base + (shares * self._sample_aligned).sum(0)
        # Beyond ratio 1 what is subtracted and added, and so its rounding, is larger than the endpoints.
        weight = left.abs() + shares.sum(0)
        largest = weight * torch.maximum(self._sample_base.abs(), self._sample_aligned.abs().amax(0))
        wrong = ~((seen - expected).abs() <= len(shares) * self._sample_eps * largest + 1e-30)
        if wrong.any():
            owner = [name for name, flat in live.items() for _ in range(len(self._positions(flat)))]
            names = sorted({owner[index] for index in wrong.nonzero().flatten().tolist()})
            raise SwapError(f"the swap to {dict(ratios)} did not reach these parameters: {', '.join(names)}")
