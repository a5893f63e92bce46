"""`kind: calibration`: how far a model's confidence in its choices is from how often they are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.choice import ChoiceItems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config.probes import Calibration
    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class CalibrationItems(PreparedProbe):
    """Expected calibration error (Guo et al., 2017) over the items of a choice probe.

    Attributes:
        choices: The items.
        bins: Number of bins, all of the same width.
    """

    choices: ChoiceItems
    bins: int

    @classmethod
    def build(cls, name: str, kind: Calibration, rows: Sequence[Row], prompting: Prompting) -> CalibrationItems:
        """Checks and tokenises rows.

        Raises:
            UserError: As for `ChoiceItems.build`.
        """
        choices = ChoiceItems.build(name, kind, rows, prompting)
        return cls(name, choices.requests, choices, kind.bins)

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """Whether an item is right less its confidence, in the column of the bin of its confidence; 0 elsewhere."""
        right = self.choices.statistics(answers, base)[:, 0]
        # The highest part of a softmax, without overflow.
        confidence = np.array([1 / np.exp(each - each.max()).sum() for each in self.choices.compared(answers)])
        # A bin contains its upper edge and not its lower one.
        column = np.clip(np.ceil(confidence * self.bins).astype(int) - 1, 0, self.bins - 1)
        statistics = np.zeros((len(right), self.bins))
        statistics[np.arange(len(right)), column] = right - confidence
        return statistics
