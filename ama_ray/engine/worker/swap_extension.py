"""The worker extension: runs inside vLLM's worker, beside the live weights. Raises naming every tensor that is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor, runs
from ama_ray.engine.placement import LOCKED, ON_ACCELERATOR
from ama_ray.engine.worker.comparison import is_endpoint
from ama_ray.engine.worker.host_lock import HostLock
from ama_ray.engine.worker.interpolation import Piece, write
from ama_ray.engine.worker.target_scorer import TargetScorer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.engine.placement import Place

SAMPLES_PER_PARAMETER = 32
"""Elements of each parameter that the checksum looks at after every swap."""


class SwapError(RuntimeError):
    """The live weights are not the interpolation that was asked for; the engine must not be scored."""


def check_cache(is_empty: bool) -> None:
    """Refuses an engine whose prefix cache may be of the weights before.

    Args:
        is_empty: Whether vLLM has emptied it.

    Raises:
        SwapError: It has not.
    """
    if not is_empty:
        raise SwapError("vLLM did not reset its prefix cache, so what it answers could be of other weights")


class SwapExtension:
    """Mixed into vLLM's worker by `worker_extension_cls`; called through `collective_rpc`."""

    model_runner: Any
    vllm_config: Any
    device: torch.device
    reload_weights: Any
    """The worker's own, which sets vLLM's configuration for the layers that ask for it while they load."""
    _lock: HostLock | None = None
    _live_ratios: Mapping[str, float]
    """What the last swap made live; empty where that is not known."""
    _loaded_buffers: frozenset[str] = frozenset()
    """The buffers that vLLM loads from checkpoints, as it does `layer_scalar` of Gemma 4: swapped as parameters are."""

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Streams a checkpoint into the live weights tensor by tensor, vLLM's post-processing included."""
        self._load(checkpoint.stream())

    def _load(self, tensors: Iterator[tuple[str, torch.Tensor]]) -> None:
        """Has vLLM load tensors of a checkpoint's names and shapes into the live weights, as it loads a checkpoint."""
        self._live_ratios = {}
        self.reload_weights(weights_iterator=tensors)

    def score_targets(self) -> None:
        """Has prompts scored by `TargetScorer` from here on."""
        TargetScorer(self.model_runner)

    def parameter_bytes(self) -> dict[str, int]:
        """Size of every live parameter, and of every buffer that is loaded as one."""
        return {name: parameter.nbytes for name, parameter in self._weights().items()}

    def snapshot(
        self, names: Collection[str], narrow: torch.dtype, spans: Mapping[str, tuple[Span, ...]] | None
    ) -> dict[str, StoredTensor]:
        """Some live parameters, or of each only the elements in its spans (`StoredTensor.of`)."""
        parameters = self._weights()
        return {name: StoredTensor.of(parameters[name], narrow, spans[name] if spans else None) for name in names}

    def find_spans(
        self, shapes: Mapping[str, Sequence[int]], group_of: Mapping[str, str]
    ) -> dict[str, tuple[Span, ...]]:
        """Finds which elements of the engine's parameters belong to which group.

        The engine fuses, shards, transposes and pads the tensors of a checkpoint in its own way. Rather than
        repeating that, this loads a checkpoint whose tensors hold the number of their group, and reads the result.
        Destroys the live weights.

        Args:
            shapes: Shape by tensor name of the checkpoint.
            group_of: Group by tensor name of the checkpoint; tensors that have none are in no span.

        Raises:
            SwapError: A parameter holds something else than these numbers and zeros.
        """
        groups = sorted(set(group_of.values()))
        label = {group: index + 1 for index, group in enumerate(groups)}
        dtype = self.model_runner.model_config.dtype
        if len(groups) > 2 / torch.finfo(dtype).eps:
            raise ValueError(f"{len(groups)} groups are more than {dtype} can count; use fewer groups or float32")

        def labelled() -> Iterator[tuple[str, torch.Tensor]]:
            for name, shape in shapes.items():
                number = label[group_of[name]] if name in group_of else 0
                yield name, torch.full(tuple(shape), float(number), dtype=dtype)

        self._loaded_buffers = frozenset()
        for parameter in self._weights().values():
            parameter.zero_()
        before = {name: buffer.clone() for name, buffer in self._buffers()}
        self._load(labelled())
        labels = {0.0, *map(float, label.values())}

        def holds_labels(tensor: torch.Tensor) -> bool:
            return labels.issuperset(value for value, _, _ in runs(tensor))

        self._loaded_buffers = frozenset(
            name for name, buffer in self._buffers() if not torch.equal(buffer, before[name]) and holds_labels(buffer)
        )
        spans = {}
        for name, parameter in self._weights().items():
            found = runs(parameter)
            if not labels.issuperset(value for value, _, _ in found):
                raise SwapError(f"vLLM transforms {name} at loading, so that its groups cannot be told apart")
            # Zero is what no group has: tensors without one, and padding of the engine's own, equal in both endpoints.
            spans[name] = tuple(Span(start, end, groups[int(value) - 1]) for value, start, end in found if value)
        return spans

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

    def _buffers(self) -> list[tuple[str, torch.Tensor]]:
        """The buffers that could be loaded from a checkpoint, by name."""
        named = self.model_runner.get_model().named_buffers()
        return [(name, buffer) for name, buffer in named if buffer.is_floating_point() and buffer.is_contiguous()]

    def _weights(self) -> dict[str, torch.Tensor]:
        """The live parameters, and the buffers that are loaded as they are; tied ones appear once.

        Raises:
            SwapError: A parameter is empty: a kernel packed it away, and a swap could not reach it.
        """
        weights = {name: parameter.data for name, parameter in self.model_runner.get_model().named_parameters()}
        packed = [name for name, tensor in weights.items() if tensor.numel() == 0 or not tensor.is_contiguous()]
        if packed:
            raise SwapError(f"vLLM keeps these parameters where a swap cannot reach them: {', '.join(packed)}")
        return weights | {name: buffer for name, buffer in self._buffers() if name in self._loaded_buffers}
