"""`Trial`: one ratio vector, swapped in and scored; the row of `trials.csv`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Origin = Literal["baseline", "warm start", "sampler"]
State = Literal["complete", "failed"]
STAGES = ("swap", "generate", "score")


@dataclass(frozen=True)
class ProbeResult:
    """One probe of one trial. `tax` is the base model's score minus this one's, both in points of the metric (0-1)."""

    score: float
    tax: float


@dataclass(frozen=True)
class Trial:
    """One ratio vector and what it scored.

    Attributes:
        number: Position in the run, from 0.
        state: `complete`, or `failed` with a `reason`.
        origin: `baseline` (base, aligned and the uniform points between), `warm start` or `sampler`.
        ratios: Share of the aligned model for every group, in the order of the search space; 0 = base, 1 = aligned.
        reward: Mean score of the sampled replies; NaN in a failed trial.
        reward_se: Standard error of `reward`, replies clustered by prompt.
        tax: Mean over families of the mean tax of their probes, in points of the metrics (0-1); NaN in a failed trial.
        tax_se: Standard error of `tax`, items paired with those of the base model.
        probes: Result by probe name.
        seconds: Wall seconds by stage: swap (verified, cache reset), generate, score.
        reason: Why a failed trial failed, one line.
    """

    number: int
    state: State
    origin: Origin
    ratios: dict[str, float]
    reward: float = math.nan
    reward_se: float = math.nan
    tax: float = math.nan
    tax_se: float = math.nan
    probes: dict[str, ProbeResult] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def uniform_ratio(self) -> float | None:
        """The ratio that all groups share, or None where they differ."""
        first, *others = self.ratios.values()
        return first if all(ratio == first for ratio in others) else None

    def to_row(self) -> dict[str, Any]:
        """The trial as a flat row, in the column order of `trials.csv`."""
        row: dict[str, Any] = {
            "number": self.number,
            "state": self.state,
            "reason": self.reason,
            "origin": self.origin,
        }
        row |= {f"ratio.{group}": ratio for group, ratio in self.ratios.items()}
        row |= {"reward": self.reward, "reward_se": self.reward_se, "tax": self.tax, "tax_se": self.tax_se}
        for name, probe in self.probes.items():
            row |= {f"{name}.score": probe.score, f"{name}.tax": probe.tax}
        return row | {f"seconds.{stage}": self.seconds.get(stage, math.nan) for stage in STAGES}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Trial:
        """The inverse of `to_row`, from the strings of a CSV file."""

        def number(key: str) -> float:
            return float(row[key]) if row.get(key) not in (None, "") else math.nan

        groups = [key.removeprefix("ratio.") for key in row if key.startswith("ratio.")]
        names = [
            key.removesuffix(".score")
            for key in row
            if key.endswith(".score") and not key.startswith(("ratio.", "seconds."))
        ]
        return cls(
            number=int(row["number"]),
            state=row["state"],
            origin=row["origin"],
            ratios={group: number(f"ratio.{group}") for group in groups},
            **{key: number(key) for key in ("reward", "reward_se", "tax", "tax_se")},
            probes={name: ProbeResult(number(f"{name}.score"), number(f"{name}.tax")) for name in names},
            seconds={stage: number(f"seconds.{stage}") for stage in STAGES},
            reason=row["reason"] or "",
        )
