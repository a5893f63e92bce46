"""The worker extension: runs inside vLLM's worker, beside the live weights. Raises naming every tensor that is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ama_ray.engine.placement import LOCKED, ON_ACCELERATOR
from ama_ray.engine.worker import target_scorer
from ama_ray.engine.worker.comparison import is_endpoint
from ama_ray.engine.worker.host_lock import HostLock
from ama_ray.engine.worker.interpolation import Piece, write
from ama_ray.engine.worker.load_extension import LoadExtension, SwapError, stored_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.engine.endpoints import Endpoints, Span
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
    """`LoadExtension` that interpolates between two endpoints."""

    _lock: HostLock | None = None

    def score_targets(self) -> None:
        """See `target_scorer.score_targets`."""
        target_scorer.score_targets(self.model_runner)

    def attach(self, endpoints: Endpoints, place: Place, holds: float = 1.0) -> None:
        """Maps both endpoints; from here on `swap` writes the live weights.

        The endpoints may be from another engine, whose kernels lay their weights out in another way: on another GPU
        two halves may be swapped, which no size tells. So the live weights must be the endpoint that they were loaded
        from, all of them.

        Args:
            endpoints: In this engine's layout.
            place: Where they are to lie while trials run.
            holds: Which endpoint is live: 0 for base, 1 for aligned.

        Raises:
            SwapError: A parameter is missing, empty (packed by a kernel), of another size, or not what the endpoint
                has for it.
        """
        self._loaded_buffers = frozenset(name for name, _ in self._buffers()) & endpoints.base.keys()
        self._take_over(endpoints, holds)
        live = self._weights()
        if live.keys() != endpoints.base.keys() or live.keys() != endpoints.aligned.keys():
            odd = sorted(live.keys() ^ endpoints.base.keys()) + sorted(live.keys() ^ endpoints.aligned.keys())
            raise SwapError(f"these parameters are not in both the engine and the endpoints: {', '.join(odd)}")
        self.detach()
        of_base, of_aligned = ON_ACCELERATOR[place]
        self._groups = sorted({span.group for spans in endpoints.spans.values() for span in spans})
        samples: list[tuple[torch.Tensor, ...]] = []
        others: list[str] = []
        for name, parameter in live.items():
            base, aligned = endpoints.base[name].tensor(), endpoints.aligned[name].tensor()
            spans = endpoints.spans[name]
            lengths = [span.end - span.start for span in spans]
            if parameter.numel() != base.numel() or sum(lengths) != aligned.numel():
                raise SwapError(f"{name} has {parameter.numel()} elements live, {base.numel()} in the endpoints")
            if spans:
                # A base in another precision is converted to aligned's, as in an export; else this is no copy.
                base = base.to(aligned.dtype)
            flat = parameter.data.view(-1)
            if not is_endpoint(flat, base, aligned if holds else None, spans):
                others.append(name)
            for span, part in zip(spans, torch.split(aligned, lengths), strict=True):
                here = slice(span.start, span.end)
                self._pieces.append(
                    Piece(
                        span.group,
                        base[here].to(self.device if of_base else base.device),
                        part.to(self.device if of_aligned else part.device),
                        flat[here],
                    )
                )
            samples.append(self._sample(spans, base, aligned, flat))
        if others:
            raise SwapError(
                "this engine has loaded these parameters in another layout than the one that the endpoints are from: "
                f"{', '.join(others)}"
            )
        if place in LOCKED:
            ends = (end for piece in self._pieces for end in (piece.base, piece.aligned))
            self._lock = HostLock.on(end for end in ends if end.is_cpu)
        self._stored = {name: stored.dtype for name, stored in endpoints.base.items()}
        self._sizes = {name: parameter.numel() for name, parameter in live.items()}
        self._sample_base, self._sample_aligned, self._sample_eps, self._sample_group = (
            torch.cat(of_all).to(self.device) for of_all in zip(*samples, strict=True)
        )

    def _take_over(self, endpoints: Endpoints, holds: float) -> None:
        """Finds out what is handed over, and which parameters that makes up: those that no endpoint has.

        Raises:
            SwapError: Handing over the endpoint that is live does not leave there what is there.
        """
        ends = endpoints.aligned if holds else endpoints.base
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
        self, spans: tuple[Span, ...], base: torch.Tensor, aligned: torch.Tensor, live: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Endpoint values, rounding unit and group index at the sampled positions of one parameter."""
        where = self._positions(live).cpu()
        at_base = base[where].double().cpu()
        at_aligned = at_base.clone()  # what is in no span is equal in both
        group = torch.full_like(where, -1)
        first = 0
        for span in spans:
            inside = (where >= span.start) & (where < span.end)
            group[inside] = self._groups.index(span.group)
            at_aligned[inside] = aligned[first + where[inside] - span.start].double().cpu()
            first += span.end - span.start
        eps = max(torch.finfo(base.dtype).eps, torch.finfo(live.dtype).eps)
        return at_base, at_aligned, torch.full_like(at_base, eps), group

    @staticmethod
    def _positions(live: torch.Tensor) -> torch.Tensor:
        count = min(SAMPLES_PER_PARAMETER, live.numel())
        return torch.linspace(0, live.numel() - 1, count, dtype=torch.double, device=live.device).long()

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Writes the interpolation of the endpoints into the live weights, and verifies a sample of all of it.

        Groups that have their ratio already are left alone.

        Args:
            ratios: Share of aligned by group name.

        Raises:
            SwapError: A sampled element is not the expected interpolation to within one rounding.
        """
        stale = {group for group in self._groups if self._live_ratios.get(group) != ratios[group]}
        self._live_ratios = {}
        with torch.no_grad():
            write(
                ((piece, ratios[piece.group]) for piece in self._pieces if piece.group in stale),
                locked=self._lock is not None,
            )
            if stale and self._stored_tensors and self._derived - self._fill(self._stored_tensors):
                raise SwapError(f"vLLM did not take these tensors again: {', '.join(self._stored_tensors)}")
        self.verify(ratios)
        self._live_ratios = dict(ratios)

    def verify(self, ratios: Mapping[str, float]) -> None:
        """Compares a sample of every live parameter with the interpolation in float64.

        Raises:
            SwapError: A sampled element is off by more than one rounding, or the parameters are not those attached.
        """
        live = {name: parameter.data.reshape(-1) for name, parameter in self._weights().items()}
        sizes = {name: flat.numel() for name, flat in live.items()}
        if odd := sorted({name for name, _ in sizes.items() ^ self._sizes.items()}):
            raise SwapError(f"these parameters are not those that the endpoints were attached to: {', '.join(odd)}")
        seen = torch.cat([flat[self._positions(flat)].double() for flat in live.values()])
        by_group = torch.tensor([*(ratios[group] for group in self._groups), 0.0], dtype=torch.double)
        ratio = by_group.to(seen.device)[self._sample_group]
        expected = (1 - ratio) * self._sample_base + ratio * self._sample_aligned
        # Beyond ratio 1 what is subtracted and added, and so its rounding, is larger than the endpoints.
        weight = (1 - ratio).abs() + ratio
        largest = weight * torch.maximum(self._sample_base.abs(), self._sample_aligned.abs())
        wrong = ~((seen - expected).abs() <= self._sample_eps * largest + 1e-30)
        if wrong.any():
            owner = [name for name, flat in live.items() for _ in range(len(self._positions(flat)))]
            names = sorted({owner[index] for index in wrong.nonzero().flatten().tolist()})
            raise SwapError(f"the swap to {dict(ratios)} did not reach these parameters: {', '.join(names)}")
