"""The reward as a win rate against reference replies, which a Python function or a judge decides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from ama_ray.config.fields import FunctionAddress
from ama_ray.config.rewards import Judge
from ama_ray.rewards.base import PreparedReward, RewardKind, Scored, ScorerError
from ama_ray.rewards.chat import as_text
from ama_ray.rewards.function import FunctionScores, read_function
from ama_ray.rewards.judge_client import SAMPLE, STAND_IN, TRIED, JudgeClient
from ama_ray.rewards.rubric import FIRST, PAIR, SECOND, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.data.rows import Row
    from ama_ray.engine.replies import Reply


class PairwiseReward(RewardKind):
    """The win rate (0-1) against fixed reference replies, which stand in the prompt file under `reference`.

    Either `scorer`, a function `compare(rows, replies, references) -> list[float]` that gives the chance that the
    reply is the better one (0-1), or a `judge`. The judge sees every pair in both orders and answers each with a number
    from 1 (the first is better) to 2 (the second is better); the mean of the two verdicts counts. In its `template`,
    {prompt}, {first} and {second} are filled in.
    """

    kind: Literal["pairwise"]
    reference: str = Field("reference", description="the field of the prompt file with the reference reply")
    scorer: FunctionAddress | None = Field(None, description="says how likely each reply is the better one")
    timeout: float = Field(600, gt=0, description="seconds that a call of the scorer may take")
    judge: Judge | None = Field(None, description="who says it instead")

    @model_validator(mode="after")
    def _has_one_scorer(self) -> PairwiseReward:
        if (self.scorer is None) == (self.judge is None):
            raise ValueError("give either scorer (file.py:function) or judge")
        if self.judge is not None:
            self.judge.must_ask_for("first", "second")
        return self

    def preparer(self) -> Callable[..., PreparedReward]:
        """Reads the function's file, or sets up the judge's client."""
        if self.judge is not None:
            return partial(PairwiseJudgeScores, judge=JudgeClient(self.judge, FIRST, SECOND))
        assert self.scorer is not None  # the run file has one of the two
        return partial(PairwiseScores, function=read_function(self.scorer), timeout=self.timeout)


@dataclass(frozen=True)
class PairwiseScores(FunctionScores):
    """A function of the user, `compare(rows, replies, references)`, with its prompts.

    It gives the chance, from 0 to 1, that the reply is the better of the two.
    """

    settings: PairwiseReward

    def check(self) -> None:
        """Also looks for the reference of every row.

        Raises:
            UserError: A row has none, or the function fails.
        """
        for row in self.rows:
            row.text(self.settings.reference)
        super().check()

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        references = [row.text(self.settings.reference) for row in rows]
        chances = self.called(rows, replies, references)
        for chance, reply in zip(chances, replies, strict=True):
            if not 0 <= chance <= 1:
                raise ScorerError(
                    f"the scorer {self.function.address} returned {chance:g} for the reply {reply.text!r:.80}; the "
                    "chance that the reply is the better one lies between 0 and 1"
                )
        return Scored(chances)


@dataclass(frozen=True)
class PairwiseJudgeScores(PreparedReward):
    """The verdicts of a judge that sees reply and reference in both orders, with their prompts.

    Judges favour one of the two places; the mean over both orders takes that out, as in the AlpacaEval protocol with
    PairRM. A win counts 1, a loss 0, and two verdicts that contradict each other 0.5.
    """

    settings: PairwiseReward
    judge: JudgeClient

    def check(self) -> None:
        """Asks whether the judge is there, and words every question.

        Raises:
            UserError: A row lacks its reference, or the judge is not there.
        """
        for row in self.rows:
            self._questions(row, "")
        self.judge.check([self._questions(row, STAND_IN)[0] for row in self.rows[:TRIED]])

    def findings(self) -> str:
        """How far the judge agrees with itself, on pairs of a reference and a reply that stands in for a model's."""
        pairs = [self._questions(row, STAND_IN) for row in self.rows[:SAMPLE]]
        return self.judge.agreement([pair[i % 2] for i, pair in enumerate(pairs)])

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        pairs = [self._questions(row, reply.text) for row, reply in zip(rows, replies, strict=True)]
        verdicts = self.judge.ask([question for pair in pairs for question in pair])
        first, second = np.array(verdicts.numbers).reshape(-1, 2).T
        # The reply was first, then second.
        chances = ((SECOND - first) + (second - FIRST)) / 2
        return Scored(chances, verdicts.tokens)

    def _questions(self, row: Row, reply: str) -> tuple[str, str]:
        template = (self.settings.judge and self.settings.judge.template) or PAIR
        prompt, reference = as_text(row, self.settings.prompts.field), row.text(self.settings.reference)
        return (
            fill(template, {"prompt": prompt, "first": reply, "second": reference}),
            fill(template, {"prompt": prompt, "first": reference, "second": reply}),
        )
