"""The reward as the marks of a judge, or as a win rate that a judge decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.rewards.base import PreparedReward, Scored, finite
from ama_ray.rewards.chat import as_text
from ama_ray.rewards.rubric import FIRST, MARK, PAIR, SECOND, fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import JudgeReward, PairwiseReward
    from ama_ray.data.rows import Row
    from ama_ray.rewards.judge_client import JudgeClient


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
        self.judge.check()

    def _score(self, rows: Sequence[Row], replies: Sequence[str]) -> Scored:
        questions = [self._question(row, reply) for row, reply in zip(rows, replies, strict=True)]
        verdicts = self.judge.ask(questions)
        return Scored(finite(self.judge.name, verdicts.numbers, replies), verdicts.tokens)

    def _question(self, row: Row, reply: str) -> str:
        template = self.settings.judge.template or MARK
        low, high = self.settings.scale
        fields = {"reply": reply, "low": f"{low:g}", "high": f"{high:g}"}
        if "{reference}" in template:
            fields["reference"] = row.text(self.settings.reference)
        return fill(template, fields | {"prompt": as_text(row, self.settings.prompts.field)})


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
        self.judge.check()

    def _score(self, rows: Sequence[Row], replies: Sequence[str]) -> Scored:
        pairs = [self._questions(row, reply) for row, reply in zip(rows, replies, strict=True)]
        verdicts = self.judge.ask([question for pair in pairs for question in pair])
        first, second = finite(self.judge.name, verdicts.numbers, replies).reshape(-1, 2).T
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
