"""`Trial`: one ratio vector, swapped in and scored; the row of `trials.csv`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ama_ray.space.groups import group_and_model

if TYPE_CHECKING:
    from ama_ray.config.data import Split

Origin = Literal["baseline", "warm start", "sampler", "twin"]
State = Literal["complete", "stopped", "failed"]
STAGES = ("swap", "generate", "score")


@dataclass(frozen=True)
class Estimate:
    """An estimate and its standard error, replies clustered by prompt and items paired with base."""

    value: float = math.nan
    se: float = math.nan


@dataclass(frozen=True)
class ProbeResult:
    """One probe of one trial.

    Attributes:
        score: In the probe's metric (0-1 where it is an accuracy, F1, BLEU or chrF).
        score_se: Its standard error.
        tax: How much worse than base, in the same points: base score minus this one, or this one minus base's where
            lower scores are better.
        tax_se: Its standard error, items paired with those of base.
    """

    score: float
    score_se: float
    tax: float
    tax_se: float


@dataclass(frozen=True)
class Replies:
    """What the replies to the prompts of one reward, or to the items of one probe, were like.

    Attributes:
        tokens: Mean number of tokens per reply, those of its thinking included.
        tokens_se: Its standard error, replies clustered by prompt or item.
        cut_off: Share of the replies that ended in their thinking (0-1), and so have no answer.
    """

    tokens: float
    tokens_se: float
    cut_off: float


@dataclass(frozen=True)
class Scores:
    """What a trial scored on one split.

    Attributes:
        objectives: By name: those of the rewards in the order of the run file, then `tokens` where they are one, then
            `tax`.
        probes: By name.
        replies: By name of every reward and probe that has replies.
    """

    objectives: dict[str, Estimate]
    probes: dict[str, ProbeResult] = field(default_factory=dict)
    replies: dict[str, Replies] = field(default_factory=dict)

    def to_row(self) -> dict[str, float]:
        """Flat: `reward`, `reward_se`, ..., `tax`, `tax_se`, four columns per probe, three per source of replies."""
        row: dict[str, float] = {}
        for name, estimate in self.objectives.items():
            row |= {name: estimate.value, f"{name}_se": estimate.se}
        for name, probe in self.probes.items():
            row |= {f"{name}.{key}": value for key, value in vars(probe).items()}
        for name, replies in self.replies.items():
            row |= {f"{name}.{key}": value for key, value in vars(replies).items()}
        return row

    @classmethod
    def from_row(cls, row: dict[str, float]) -> Scores | None:
        """The inverse of `to_row`; None where the row has no objective with a value."""
        names = [key.removesuffix("_se") for key in row if key.endswith("_se") and "." not in key]
        if all(math.isnan(row[name]) for name in names):
            return None

        def parts(kind: type[Any], first: str, last: str) -> dict[str, Any]:
            found = [key.removesuffix(last) for key in row if key.endswith(last)]
            return {
                name: kind(**{key: row[f"{name}.{key}"] for key in kind.__dataclass_fields__})
                for name in found
                if not math.isnan(row[f"{name}.{first}"])
            }

        return cls(
            {name: Estimate(row[name], row[f"{name}_se"]) for name in names},
            parts(ProbeResult, "score", ".tax_se"),
            parts(Replies, "tokens", ".cut_off"),
        )


@dataclass(frozen=True)
class Trial:
    """One ratio vector and what it scored.

    Attributes:
        number: Position in the run, from 0.
        state: `complete`; `stopped`, when a part of the items showed that it adds nothing; `failed` with a `reason`.
        origin: `baseline` (base, aligned and the uniform points between), `warm start`, `sampler`, or `twin` (the
            uniform point with the mean ratio of the knee, scored on the report split only).
        ratios: Share of aligned by group, 0 being base, in the order of the space; of several by `group@model`.
        search: Scores on the search split; estimates in a stopped trial, None in a failed one and in a twin.
        report: Scores on the report split; None where it was not scored there.
        seconds: Wall seconds by stage: swap (verified, cache reset), generate, score.
        tokens: Tokens that judges were sent and sent back (`prompt`, `completion`), and verdicts that are `missing`.
        reason: Why a failed trial failed, one line.
        share: Of the items that trials of the search see (0-1); less than 1 in a stopped trial.
        split: Which of the two `scores` are.
    """

    number: int
    state: State
    origin: Origin
    ratios: dict[str, float]
    search: Scores | None = None
    report: Scores | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    share: float = 1.0
    split: Split = "search"

    @property
    def shares(self) -> dict[str, float] | None:
        """The share of every aligned model by its name, or None where groups differ; see `Groups.names`."""
        found: dict[str, float] = {}
        for number, share in self.ratios.items():
            if found.setdefault(group_and_model(number)[1], share) != share:
                return None
        return found

    @property
    def models(self) -> int:
        """How many aligned models there are."""
        return len({group_and_model(number)[1] for number in self.ratios})

    @property
    def uniform_ratio(self) -> float | None:
        """The ratio that all groups share, or None where they differ; of several aligned models, in equal parts."""
        first, *others = self.ratios.values()
        return self._in_all(first) if all(ratio == first for ratio in others) else None

    @property
    def mixed(self) -> tuple[str, ...]:
        """The names of the aligned models that it has shares of, the same in all groups; empty where groups differ."""
        return tuple(model for model, share in (self.shares or {}).items() if share)

    @property
    def alone(self) -> str | None:
        """The name of the aligned model that this is, or None where it is none of them."""
        used = self.mixed
        return used[0] if len(used) == 1 and (self.shares or {})[used[0]] == 1 else None

    @property
    def is_end(self) -> bool:
        """Whether this is base or an aligned model, as the baseline has them: what a trade is between."""
        return self.origin == "baseline" and (self.uniform_ratio == 0 or self.alone is not None)

    @property
    def title(self) -> str:
        """What a point with the same shares in all groups is called; empty where groups differ.

        That is `base`, `aligned` or `uniform 0.5`; with several models `math`, `math 0.5` or `soup math+code`.
        """
        shares, ratio = self.shares, self.uniform_ratio
        if shares is None or (ratio in (0.0, 1.0) and self.models == 1):
            return "" if shares is None else ("aligned" if ratio else "base")
        if ratio is not None:
            return f"uniform {ratio:g}" if ratio else "base"
        first, *more = self.mixed
        if more:
            return f"soup {'+'.join(self.mixed)}"
        return first if shares[first] == 1 else f"{first} {shares[first]:g}"

    @property
    def mean_ratio(self) -> float:
        """Mean over the groups; of the sum of the shares, where there are several aligned models."""
        return self._in_all(math.fsum(self.ratios.values()) / len(self.ratios))

    def _in_all(self, share: float) -> float:
        """A share of each model, as one of all of them together."""
        # Rounded, as a third of a ratio three times need not be that ratio.
        return share if self.models == 1 else round(share * self.models, 9)

    @property
    def scores(self) -> Scores | None:
        """The scores on the split that this trial is seen on."""
        return self.search if self.split == "search" else self.report

    @property
    def objectives(self) -> dict[str, Estimate]:
        """By name, on the split that this trial is seen on; empty where it has no scores there."""
        return self.scores.objectives if self.scores else {}

    @property
    def probes(self) -> dict[str, ProbeResult]:
        """By name, on the split that this trial is seen on."""
        return self.scores.probes if self.scores else {}

    @property
    def replies(self) -> dict[str, Replies]:
        """By name, on the split that this trial is seen on."""
        return self.scores.replies if self.scores else {}

    @property
    def reward(self) -> float:
        """The first objective; NaN without scores."""
        return next(iter(self.objectives.values()), Estimate()).value

    @property
    def reward_se(self) -> float:
        """Standard error of `reward`."""
        return next(iter(self.objectives.values()), Estimate()).se

    @property
    def tax(self) -> float:
        """Mean over families of the mean tax of their probes; NaN without scores."""
        return self.objectives.get("tax", Estimate()).value

    @property
    def tax_se(self) -> float:
        """Standard error of `tax`."""
        return self.objectives.get("tax", Estimate()).se

    def seen_on(self, split: Split) -> Trial:
        """The same trial with the scores of a split in front."""
        return replace(self, split=split)

    def to_row(self) -> dict[str, Any]:
        """The trial as a flat row, in the column order of `trials.csv`."""
        row: dict[str, Any] = {
            "number": self.number,
            "state": self.state,
            "reason": self.reason,
            "origin": self.origin,
            "share": self.share,
        }
        row |= {f"ratio.{group}": ratio for group, ratio in self.ratios.items()}
        row |= self.search.to_row() if self.search else {}
        row |= {f"report.{key}": value for key, value in (self.report.to_row() if self.report else {}).items()}
        row |= {f"tokens.{kind}": count for kind, count in self.tokens.items()}
        return row | {f"seconds.{stage}": self.seconds.get(stage, math.nan) for stage in STAGES}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Trial:
        """The inverse of `to_row`, from the strings of a CSV file; what `front.csv` has besides is left out."""

        def part(prefix: str) -> dict[str, float]:
            # An empty cell is a value that this trial lacks.
            return {
                key.removeprefix(prefix): float(value or "nan") for key, value in row.items() if key.startswith(prefix)
            }

        texts = {key: row[key] for key in ("number", "state", "reason", "origin", "share")}
        elsewhere = ("ratio.", "report.", "seconds.", "tokens.", "front.")
        search = {
            key: float(value or "nan")
            for key, value in row.items()
            if key not in texts and not key.startswith(elsewhere)
        }
        return cls(
            number=int(texts["number"]),
            state=texts["state"],
            origin=texts["origin"],
            ratios=part("ratio."),
            share=float(texts["share"]),
            search=Scores.from_row(search),
            report=Scores.from_row(part("report.")),
            seconds={stage: value for stage, value in part("seconds.").items() if not math.isnan(value)},
            tokens={kind: int(count) for kind, count in part("tokens.").items() if not math.isnan(count)},
            reason=texts["reason"] or "",
        )


PROMPTS = 4
"""How many prompts have their first reply kept."""


@dataclass(frozen=True)
class KeptReply:
    """The first sampled reply to a prompt; the same prompts and seeds in every trial."""

    prompt: str
    reply: str
