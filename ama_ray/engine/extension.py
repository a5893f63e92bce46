"""The worker extension: runs inside vLLM's worker, beside the live weights. Raises naming every tensor that is off."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch

from ama_ray.averaging import interpolate
from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
from ama_ray.engine.scoring import TargetScorer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SAMPLES_PER_PARAMETER = 32
"""Elements of each parameter that the checksum looks at after every swap."""


class SwapError(RuntimeError):
    """The live weights are not the interpolation that was asked for; the engine must not be scored."""


class SwapExtension:
    """Mixed into vLLM's worker by `worker_extension_cls`; called through `collective_rpc`."""

    model_runner: Any
    device: torch.device

    def load_checkpoint(self, folder: str) -> None:
        """Loads a checkpoint folder into the live weights, vLLM's post-processing included."""
        self.model_runner.reload_weights(weights_path=folder)

    def score_targets(self) -> None:
        """Has prompts scored by `TargetScorer` from here on."""
        TargetScorer(self.model_runner)

    def snapshot(self, narrow: torch.dtype) -> dict[str, StoredTensor]:
        """The live parameters as views, or narrowed copies where `narrow` loses nothing (`StoredTensor.of`)."""
        return {name: StoredTensor.of(parameter, narrow) for name, parameter in self._parameters().items()}

    def find_spans(
        self, shapes: Mapping[str, Sequence[int]], group_of: Mapping[str, str]
    ) -> dict[str, tuple[Span, ...]]:
        """Finds which elements of the engine's parameters belong to which group.

        The engine fuses, shards, transposes and pads the tensors of a checkpoint in its own way. Rather than
        repeating that, this loads a checkpoint whose tensors hold the number of their group, and reads the result.
        Destroys the live weights.

        Args:
            shapes: Shape by tensor name of the checkpoint.
            group_of: Group by tensor name of the checkpoint.

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
                yield name, torch.full(tuple(shape), float(label[group_of[name]]), dtype=dtype)

        for parameter in self._parameters().values():
            parameter.zero_()
        self.model_runner.reload_weights(weights_iterator=labelled())
        spans = {}
        labels = {0.0, *map(float, label.values())}
        for name, parameter in self._parameters().items():
            values, counts = torch.unique_consecutive(parameter.detach().reshape(-1), return_counts=True)
            if not labels.issuperset(values.tolist()):
                raise SwapError(f"vLLM transforms {name} at loading, so that its groups cannot be told apart")
            ends = list(itertools.accumulate(counts.tolist()))
            spans[name] = tuple(
                Span(start, end, groups[int(value) - 1])
                for value, start, end in zip(values.tolist(), [0, *ends], ends, strict=False)
                if value != 0  # padding of the engine's own, equal in both endpoints
            )
        return spans

    def attach(self, endpoints: Endpoints) -> None:
        """Maps both endpoints; from here on `swap` writes the live weights.

        Raises:
            SwapError: A parameter is missing, empty (packed by a kernel) or of another size.
        """
        live = self._parameters()
        if live.keys() != endpoints.base.keys() or live.keys() != endpoints.aligned.keys():
            odd = sorted(live.keys() ^ endpoints.base.keys()) + sorted(live.keys() ^ endpoints.aligned.keys())
            raise SwapError(f"these parameters are not in both the engine and the endpoints: {', '.join(odd)}")
        self._plan = []
        samples: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._groups = sorted({span.group for spans in endpoints.spans.values() for span in spans})
        for name, parameter in live.items():
            aligned = endpoints.aligned[name].tensor().to(self.device)
            # A base in another precision is converted to aligned's, as in an export; else this is no copy.
            base = endpoints.base[name].tensor().to(self.device, aligned.dtype)
            if not parameter.numel() == base.numel() == aligned.numel():
                raise SwapError(f"{name} has {parameter.numel()} elements live, {base.numel()} in the endpoints")
            flat = parameter.data.view(-1)
            for span in endpoints.spans[name]:
                part = slice(span.start, span.end)
                self._plan.append((span.group, base[part], aligned[part], flat[part]))
            samples.append(self._sample(endpoints.spans[name], base, aligned, flat))
        self._sizes = {name: parameter.numel() for name, parameter in live.items()}
        self._sample_base, self._sample_aligned, self._sample_eps, self._sample_group = map(
            torch.cat, zip(*samples, strict=True)
        )

    def _sample(
        self, spans: tuple[Span, ...], base: torch.Tensor, aligned: torch.Tensor, live: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Endpoint values, rounding unit and group index at the sampled positions of one parameter."""
        where = self._positions(live)
        group = torch.full_like(where, -1)
        for span in spans:
            group[(where >= span.start) & (where < span.end)] = self._groups.index(span.group)
        eps = max(torch.finfo(base.dtype).eps, torch.finfo(live.dtype).eps)
        return base[where].double(), aligned[where].double(), torch.full_like(where, eps, dtype=torch.double), group

    @staticmethod
    def _positions(live: torch.Tensor) -> torch.Tensor:
        count = min(SAMPLES_PER_PARAMETER, live.numel())
        return torch.linspace(0, live.numel() - 1, count, dtype=torch.double, device=live.device).long()

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Writes the interpolation of the endpoints into the live weights, and verifies a sample of it.

        Args:
            ratios: Share of aligned by group name.

        Raises:
            SwapError: A sampled element is not the expected interpolation to within one rounding.
        """
        with torch.no_grad():
            for group, base, aligned, live in self._plan:
                if live.dtype == base.dtype:
                    interpolate(base, aligned, ratios[group], out=live)
                else:
                    live.copy_(interpolate(base, aligned, ratios[group]))
        self.verify(ratios)

    def verify(self, ratios: Mapping[str, float]) -> None:
        """Compares a sample of every live parameter with the interpolation in float64.

        Raises:
            SwapError: A sampled element is off by more than one rounding, or the parameters are not those attached.
        """
        live = {name: parameter.data.reshape(-1) for name, parameter in self._parameters().items()}
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

    def _parameters(self) -> dict[str, torch.Tensor]:
        """The live parameters; tied ones appear once.

        Raises:
            SwapError: A parameter is empty: a kernel packed it away, and a swap could not reach it.
        """
        parameters = {name: parameter.data for name, parameter in self.model_runner.get_model().named_parameters()}
        packed = [name for name, tensor in parameters.items() if tensor.numel() == 0 or not tensor.is_contiguous()]
        if packed:
            raise SwapError(f"vLLM keeps these parameters where a swap cannot reach them: {', '.join(packed)}")
        return parameters
