"""`kind: calibration`: how far a model's confidence in its choices is from how often they are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.probes.base import PreparedProbe, ProbeKind
from ama_ray.probes.choice import ChoiceItems, solved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class CalibrationItems(PreparedProbe):
    """Expected calibration error (Guo et al., 2017) over the items of a choice probe.

    Attributes:
        choices: The items of the choice probe.
        bins: Number of bins, all of the same width.
    """

    choices: ChoiceItems
    bins: int

    @property
    def count(self) -> int:
        """The number of items."""
        return self.choices.count

    def said(self, answers: Sequence[Any]) -> list[str]:
        """The choice of the model, for every item."""
        return self.choices.chosen(answers, self.texts)

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


class Calibration(ProbeKind):
    """Expected calibration error (0-1, lower is better) over choices, in bins of equal width.

    Rows as for `choice`, and the same requests: beside a `choice` probe on the same file it costs nothing. The
    confidence is the softmax, over the choices, of what `metric` compares.
    """

    scored_by: ClassVar[str] = "calibration"

    kind: Literal["calibration"] = "calibration"
    metric: Literal["acc", "acc_norm"] = Field("acc", description="what choices are compared by")
    delimiter: str = Field(" ", description="between prompt and choice")
    bins: int = Field(10, ge=2, description="of confidence")

    def build(
        self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None
    ) -> CalibrationItems:
        """Checks and tokenises rows; see `ChoiceItems.of`."""
        choices = ChoiceItems.of(name, rows, prompting, self.delimiter, self.metric)
        return CalibrationItems(name, choices.requests, choices, self.bins)

    def solved(self, row: Row) -> str:
        """The prompt with the right choice."""
        return solved(row, self.delimiter)


class CalibrationProbe(Calibration, Prompted, FileProbe):
    """A `calibration` probe on a file."""
