"""`EngineActor`: an engine in a Ray process of its own, for what a run needs once, beside its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import torch

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.config import EngineSettings
    from ama_ray.engine.deep_check import Outputs
    from ama_ray.engine.endpoints import Span, StoredTensor
    from ama_ray.evaluation.evaluation import Answers, Evaluation
    from ama_ray.tuning.cluster.engine_source import StoredEndpoints


class EngineActor:
    """An engine in a Ray process of its own. What its methods return belongs to the caller and outlives the actor."""

    def __init__(self, folder: Path, settings: EngineSettings, context_length: int) -> None:
        from ama_ray.engine.start import start_engine

        self._engine = start_engine(folder, settings, context_length)

    def start(self) -> None:
        """Returns once the engine has started."""

    def load(
        self,
        checkpoint: Checkpoint,
        narrow: torch.dtype,
        parts: int,
        spans: Mapping[str, tuple[Span, ...]] | None = None,
    ) -> Iterator[dict[str, StoredTensor]]:
        """Loads one endpoint; yields it in the engine's layout, whole or by spans, in parts of about equal size.

        Each is written to the object store, from the live weights where it is a view of them, before the next is made.
        """
        self._engine.load_checkpoint(checkpoint)
        sizes = self._engine.parameter_bytes
        names: list[list[str]] = [[] for _ in range(parts)]
        before, whole = 0, sum(sizes.values())
        for name, size in sizes.items():
            names[before * parts // whole].append(name)
            before += size
        for some in names:
            yield self._engine.snapshot(some, narrow, spans)

    def find_spans(
        self, shapes: Mapping[str, tuple[int, ...]], group_of: Mapping[str, str]
    ) -> dict[str, tuple[Span, ...]]:
        """See `SwapExtension.find_spans`."""
        return self._engine.find_spans(shapes, group_of)

    def attach(self, endpoints: StoredEndpoints) -> None:
        """Maps the endpoints, so that `swap` can interpolate them."""
        self._engine.attach(endpoints.get())

    def ask(self, ratios: Mapping[str, float], evaluation: Evaluation) -> Answers:
        """Swaps in one merge and asks it."""
        self._engine.swap(ratios)
        return evaluation.ask(self._engine)

    def greedy(self, prompts: list[list[int]], max_tokens: int) -> Outputs:
        """Greedy tokens with log-probabilities of the checkpoint the engine started with."""
        return self._engine.greedy_logprobs(prompts, max_tokens)

    def greedy_after_swap(self, ratios: Mapping[str, float], prompts: list[list[int]], max_tokens: int) -> Outputs:
        """Greedy tokens with log-probabilities of one merge."""
        self._engine.swap(ratios)
        return self._engine.greedy_logprobs(prompts, max_tokens)
