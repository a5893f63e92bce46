"""What a kind of probe is (`ProbeKind`), and what it makes of its items (`PreparedProbe`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ama_ray.config.fields import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row
    from ama_ray.engine.requests import Request
    from ama_ray.scores.item_text import ItemText


@dataclass(frozen=True)
class PreparedProbe(ABC):
    """One probe on one split, read, checked and tokenised: the same for every trial.

    Attributes:
        name: The name of the probe.
        requests: What one model is asked, in any order that `statistics` knows.
        texts: Of the report split, what its items ask, for people to read; empty where no rows are known.
    """

    name: str
    requests: tuple[Request, ...]
    texts: tuple[ItemText, ...] = field(default=(), kw_only=True, repr=False, compare=False)

    @property
    def count(self) -> int:
        """The number of items: the rows of `statistics`."""
        return len(self.requests)

    @property
    def chance(self) -> float:
        """What a model that guesses scores; 0 where there is nothing to guess from."""
        return 0.0

    def findings(self) -> str:
        """What `ama-ray check` says of the scoring on this machine, one line; empty where nothing is to say."""
        return ""

    def said(self, answers: Sequence[Any]) -> list[str]:
        """What a model answered to every item, for people to read; empty where its answers are no texts.

        Args:
            answers: As of `statistics`.
        """
        return []

    @abstractmethod
    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """What the metric of the probe sums up.

        Args:
            answers: One per request: a list of `Reply` to a `Generation`, a list of log-likelihoods to a
                `Continuations`, log-probabilities by token id to a `NextToken`.
            base: The same of the base model.

        Returns:
            Shape (items, k); the columns are those of the metric in `ama_ray.scores.metrics.METRICS`.
        """


class ProbeKind(Model, ABC):
    """What a probe asks and how it scores, apart from where its items come from: the settings, and what they do.

    The class that a run file names inherits from the kind, from `Prompted` where the kind has prompts, and from
    `FileProbe`; its address stands in `ama_ray.config.probes`. A preset holds a kind alone.

    Attributes:
        scored_by: The name of the metric in `ama_ray.scores.metrics.METRICS`.
    """

    scored_by: ClassVar[str]

    @abstractmethod
    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> PreparedProbe:
        """Checks and tokenises rows.

        Args:
            name: The name of the probe.
            rows: The items.
            prompting: It makes tokens of prompts.
            context_limit: Most tokens the model takes, or None where its configuration does not say; plain text that
                is longer is divided.

        Raises:
            UserError: A row lacks a field, or has something else in it than this kind takes.
        """

    @abstractmethod
    def solved(self, row: Row) -> str:
        """A row as a solved example, to stand in front of items.

        Raises:
            UserError: As for `build`.
        """
