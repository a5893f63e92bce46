"""The reward as the marks of a judge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from ama_ray.config.rewards import Judge
from ama_ray.rewards.base import PreparedReward, RewardKind, Scored
from ama_ray.rewards.chat import as_text
from ama_ray.rewards.judge_client import SAMPLE, STAND_IN, TRIED, JudgeClient, stand_in
from ama_ray.rewards.rubric import MARK, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.data.rows import Row
    from ama_ray.engine.replies import Reply


class JudgeReward(RewardKind):
    """The mean of the marks within `scale` that a judge gives.

    In the judge's `template`, {prompt}, {reply}, {reference}, {low} and {high} are filled in.
    """

    kind: Literal["judge"]
    judge: Judge = Field(description="who gives the marks")
    scale: tuple[float, float] = Field((1, 10), description="lowest and highest mark")
    reference: str = Field("reference", description="the field of the prompt file for {reference}")

    @model_validator(mode="after")
    def _can_be_asked(self) -> JudgeReward:
        if not self.scale[0] < self.scale[1]:
            raise ValueError("scale: give the lowest mark, then the highest")
        self.judge.must_ask_for("reply")
        return self

    def preparer(self) -> Callable[..., JudgeScores]:
        """Sets up the judge's client."""
        return partial(JudgeScores, judge=JudgeClient(self.judge, *self.scale))


@dataclass(frozen=True)
class JudgeScores(PreparedReward):
    """The marks of a judge, with their prompts."""

    settings: JudgeReward
    judge: JudgeClient

    def check(self) -> None:
        """Asks whether the judge is there, and words every question.

        Raises:
            UserError: A row lacks what the template asks for, or the judge is not there.
        """
        for row in self.rows:
            self._question(row, "")
        self.judge.check([self._question(row, STAND_IN) for row in self.rows[:TRIED]])

    def findings(self) -> str:
        """How far the judge agrees with itself, on replies that stand in for a model's."""
        rows = self.rows[:SAMPLE]
        return self.judge.agreement([self._question(row, stand_in(row, self.settings.reference)) for row in rows])

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        questions = [self._question(row, reply.text) for row, reply in zip(rows, replies, strict=True)]
        verdicts = self.judge.ask(questions)
        return Scored(np.array(verdicts.numbers), verdicts.tokens)

    def _question(self, row: Row, reply: str) -> str:
        template = self.settings.judge.template or MARK
        low, high = self.settings.scale
        fields = {"reply": reply, "low": f"{low:g}", "high": f"{high:g}"}
        if "{reference}" in template:
            fields["reference"] = row.text(self.settings.reference)
        return fill(template, fields | {"prompt": as_text(row, self.settings.prompts.field)})
