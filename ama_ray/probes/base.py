"""`PreparedProbe`: a benchmark turned into requests to the engine, and the answers into statistics per item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.engine.requests import Request


@dataclass(frozen=True)
class PreparedProbe(ABC):
    """One probe on one split, read, checked and tokenised: the same for every trial.

    Attributes:
        name: Of the probe.
        requests: What one model is asked, in any order that `statistics` knows.
    """

    name: str
    requests: tuple[Request, ...]

    @abstractmethod
    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """What the metric of the probe sums up.

        Args:
            answers: One per request: a list of replies to a `Generation`, a list of log-likelihoods to a
                `Continuations`, log-probabilities by token id to a `NextToken`.
            base: The same of the base model.

        Returns:
            Shape (items, k); the columns are those of the metric in `ama_ray.scores.metrics.METRICS`.
        """
