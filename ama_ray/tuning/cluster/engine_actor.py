"""`EngineActor`: an engine in a Ray process of its own, for what a run needs once, beside its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import Checked
from ama_ray.engine.verdict import Verdict, VerdictCache
from ama_ray.engine.worker.swap_extension import SwapError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.config import EngineSettings
    from ama_ray.engine.deep_check import Subject
    from ama_ray.engine.endpoints import Span, StoredTensor
    from ama_ray.evaluation.evaluation import Answers, Evaluation
    from ama_ray.tuning.cluster.engine_source import EndpointsByRank, StoredEndpoints


class EngineActor:
    """An engine in a Ray process of its own. What its methods return belongs to the caller and outlives the actor."""

    def __init__(
        self, folder: Path, settings: EngineSettings, context_length: int, of_pair: Mapping[str, Any], models: int = 1
    ) -> None:
        from ama_ray.engine.start import start_engine

        self._engine = start_engine(folder, settings, context_length, of_pair, models)

    def start(self, subject: Subject | None = None, *, again: bool = False) -> None:
        """Returns once the engine has started.

        Args:
            subject: What `check` will check, if it is to; that needs to be known before any weights are touched.
            again: Whether to check also where the verdict is known.
        """
        if subject is None:
            return
        self._subject = subject
        layout: list[dict[str, str]] = self._engine.call_workers("layout")
        self._cache = VerdictCache("deep-check", subject.key | {"layout": layout})
        self._known = None if again else self._cache.read()
        if self._known is None:
            self._engine.call_workers("keep", deep_check.START)

    def check(self, attached: None, *, answers: bool = False) -> Checked:
        """Does the deep check, unless its verdict is known.

        Args:
            attached: What `attach` returned: there is nothing to check where that failed.
            answers: Whether answers after a swap are wanted also where the verdict is known.
        """
        if self._known is None:
            try:
                checked = deep_check.check(self._engine, self._subject)
            except SwapError as error:
                checked = Checked(Verdict.refused(str(error)))
            self._cache.write(checked.verdict)
            return checked
        if not answers:
            return Checked(self._known)
        self._engine.swap(self._subject.ratios[0])
        return Checked(self._known, self._engine.greedy_logprobs(self._subject.prompts, deep_check.NEW_TOKENS))

    def load(
        self,
        checkpoint: Checkpoint,
        narrow: torch.dtype,
        parts: int,
        spans: Sequence[Mapping[str, tuple[Span, ...]]] | None = None,
        model: int = 0,
    ) -> Iterator[dict[str, StoredTensor]]:
        """Loads one endpoint; yields it in the engine's layout, whole or by spans, in parts of about equal size.

        Each is written to the object store, from the live weights where it is a view of them, before the next is made.

        Args:
            checkpoint: Of the endpoint.
            narrow: See `StoredTensor.of`.
            parts: How many.
            spans: Of every aligned model; None for base, which is stored whole.
            model: Which of them it is.
        """
        self._engine.load_checkpoint(checkpoint)
        sizes = self._engine.parameter_bytes
        names: list[list[str]] = [[] for _ in range(parts)]
        before, whole = 0, sum(sizes.values())
        for name, size in sizes.items():
            names[before * parts // whole].append(name)
            before += size
        for some in names:
            yield self._engine.snapshot(some, narrow, spans[model] if spans else None)

    def find_spans(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, torch.dtype],
        numbers: Sequence[Mapping[str, str]],
    ) -> list[dict[str, tuple[Span, ...]]]:
        """See `LoadExtension.find_spans`."""
        return self._engine.find_spans(shapes, dtypes, numbers)

    def attach(self, endpoints: StoredEndpoints) -> None:
        """Maps the endpoints, so that `swap` can merge them; the one that was loaded last is live."""
        self._engine.attach(endpoints.get(), len(endpoints.aligned))

    def attach_pair(self, endpoints: EndpointsByRank) -> None:
        """Has every process of an engine on several GPUs get its part of the endpoints."""
        endpoints.attach_to(self._engine)

    def ask(self, ratios: Mapping[str, float], evaluation: Evaluation, checked: Checked) -> Answers:
        """Swaps in one merge and asks it.

        Raises:
            SwapError: The deep check has not passed.
        """
        if not checked.verdict.passed:
            raise SwapError(checked.verdict.trouble)
        self._engine.swap(ratios)
        return evaluation.ask(self._engine)

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Swaps in one merge."""
        self._engine.swap(ratios)

    def close(self) -> None:
        """Ends the engine's own processes, whose GPUs others are to have."""
        self._engine.close()
