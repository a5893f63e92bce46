"""Kinds of probes whose replies a verifier finds right or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.probes.generated import MatchedKind
from ama_ray.verifiers.settings import CodeSettings, JsonSettings, MathSettings, RegexSettings, Verified

if TYPE_CHECKING:
    from ama_ray.data.rows import Row
    from ama_ray.verifiers.base import Verifier


class VerifiedKind(MatchedKind, Verified):
    """Greedy replies, each found right or wrong by a verifier."""

    @property
    def matcher(self) -> Verifier:
        """What finds them right or wrong."""
        return self.verifier


class Math(VerifiedKind, MathSettings):
    """A greedy reply whose last answer is mathematically that of the row, as math-verify says.

    Rows: `prompt`, and `answer` (a number, an expression or LaTeX, also after `####` as in GSM8K; or a list of right
    ones) or `solution`, which ends with it, as in MATH. Each reply is read in a process beside the engine.
    """

    kind: Literal["math"] = "math"

    def solved(self, row: Row) -> str:
        """The prompt with the solution, or with the answer where there is no solution.

        Raises:
            UserError: A row lacks a field.
        """
        solution = row.fields.get("solution", row.get("answer"))
        return row.text("prompt") + self.delimiter + (solution[0] if isinstance(solution, list) else str(solution))


class MathProbe(Math, Prompted, FileProbe):
    """A `math` probe on a file."""


class Code(VerifiedKind, CodeSettings):
    """A greedy reply whose code passes the tests of the row, run in a sandbox.

    Rows: `prompt`; `test`, a program that raises where the code is wrong; `prefix`, what stands in front of the code,
    if anything does; `answer`, right code, for examples. Of a reply that has code between fences, that is taken, else
    all of it.
    """

    kind: Literal["code"] = "code"


class CodeProbe(Code, Prompted, FileProbe):
    """A `code` probe on a file."""


class Regex(VerifiedKind, RegexSettings):
    """A greedy reply that a regular expression of Python matches as a whole. Rows: `prompt`, and `pattern` if any.

    White space around the reply is left out.
    """

    kind: Literal["regex"] = "regex"


class RegexProbe(Regex, Prompted, FileProbe):
    """A `regex` probe on a file."""


class JsonForm(VerifiedKind, JsonSettings):
    """A greedy reply that is JSON, between fences or not. Rows: `prompt`, and `schema`, a JSON schema, if any."""

    kind: Literal["json"] = "json"


class JsonProbe(JsonForm, Prompted, FileProbe):
    """A `json` probe on a file."""
