"""Rewards that are the share of replies that a verifier finds right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from ama_ray.processes.sandbox import SandboxError
from ama_ray.rewards.base import PreparedReward, RewardKind, Scored, ScorerError
from ama_ray.verifiers.settings import CodeSettings, JsonSettings, MathSettings, RegexSettings, Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.data.rows import Row
    from ama_ray.engine.replies import Reply
    from ama_ray.verifiers.base import Verifier


class VerifiedReward(RewardKind, Verified):
    """A reward of one of the verifiers."""

    def preparer(self) -> Callable[..., VerifiedScores]:
        """Makes the verifier."""
        return partial(VerifiedScores, verifier=self.verifier)


class MathReward(VerifiedReward, MathSettings):
    """The share of replies whose last answer is mathematically that of the row, as math-verify says.

    Rows: besides the prompt `answer` (a number, an expression or LaTeX, also after `####` as in GSM8K; or a list of
    right ones), or `solution`, which ends with it, as in MATH. Each reply is read in a process beside the engine.
    """

    kind: Literal["math"]


class CodeReward(VerifiedReward, CodeSettings):
    """The share of replies whose code passes the tests of the row, run in a sandbox.

    Rows: besides the prompt `test`, a program that raises where the code is wrong, and `prefix`, what stands in front
    of the code, if anything does. Of a reply that has code between fences, that is taken, else all of it.
    """

    kind: Literal["code"]


class RegexReward(VerifiedReward, RegexSettings):
    """The share of replies that a regular expression of Python matches as a whole.

    White space around a reply is left out. Rows: besides the prompt `pattern`, unless all rows have one.
    """

    kind: Literal["regex"]


class JsonReward(VerifiedReward, JsonSettings):
    """The share of replies that are JSON, between fences or not.

    Rows: besides the prompt `schema`, a JSON schema that replies have to fit, if any.
    """

    kind: Literal["json"]


@dataclass(frozen=True)
class VerifiedScores(PreparedReward):
    """A verifier with its prompts."""

    verifier: Verifier

    def check(self) -> None:
        """Reads what every row's replies are held against.

        Raises:
            UserError: A row lacks it, or the verifier does not work on this machine.
        """
        for row in self.rows:
            self.verifier.read(row)

    def findings(self) -> str:
        """See `Verifier`."""
        return self.verifier.findings()

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        rights = [self.verifier.read(row) for row in rows]
        try:
            scores = np.array(self.verifier.scores([reply.text for reply in replies], rights))
        except SandboxError as error:
            raise ScorerError(str(error)) from error
        return Scored(np.where([reply.cut_off for reply in replies], 0.0, scores))
