"""The kind of probe whose replies a Python function of the user scores."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ama_ray.config.fields import FunctionAddress
from ama_ray.config.probes import FileProbe, Prompted
from ama_ray.engine.replies import Reply
from ama_ray.errors import UserError
from ama_ray.probes.generated import MatchedKind
from ama_ray.processes.worker import CallError, Function, call
from ama_ray.rewards.base import ScorerError
from ama_ray.rewards.function import FIRST_REPLIES, read_function
from ama_ray.verifiers.base import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row
    from ama_ray.probes.generated import GeneratedItems


@dataclass(frozen=True)
class FunctionVerifier(Verifier):
    """What a function says of replies.

    Attributes:
        function: What is called.
        timeout: Seconds that a call may take.
        digest: Of the text of its file: other functions make other items.
    """

    function: Function
    timeout: float
    digest: str

    def read(self, row: Row) -> dict[str, Any]:
        """The row, all of it."""
        return row.fields

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """Calls the function once, with every reply and its row.

        Raises:
            ScorerError: It did not return one number from 0 to 1 per reply.
        """
        name = f"the scorer {self.function.address}"
        try:
            numbers = call(self.function, rights, [asdict(Reply(text)) for text in replies], timeout=self.timeout)
        except CallError as error:
            raise ScorerError(f"{name} {error}") from error
        if len(numbers) != len(replies):
            raise ScorerError(f"{name} returned {len(numbers)} scores for {len(replies)} replies")
        for number, reply in zip(numbers, replies, strict=True):
            if not 0 <= number <= 1:
                raise ScorerError(f"{name} returned {number}, which is not from 0 to 1, for the reply {reply!r:.80}")
        return numbers


class FunctionKind(MatchedKind):
    """Greedy replies, each of which a Python function scores from 0 to 1.

    `scorer` is `file.py:function`, the function being `score(rows: list[dict], replies: list[str]) -> list[float]`, as
    for a reward. A class in its place is made once in its process, and what it made is called. A reply that was cut off
    in its thinking is wrong, and the function does not see it. Rows: `prompt`, and whatever the function reads.
    """

    kind: Literal["function"] = "function"
    scorer: FunctionAddress = Field(description="scores replies")
    timeout: float = Field(600, gt=0, description="seconds that a call of the scorer may take")

    @property
    def matcher(self) -> FunctionVerifier:
        """The function, as it is read now."""
        function = read_function(self.scorer, "tax.scorer")
        return FunctionVerifier(function, self.timeout, hashlib.sha256((function.source or "").encode()).hexdigest())

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> GeneratedItems:
        """Checks and tokenises rows, and calls the function on the first two.

        Raises:
            UserError: A row lacks a prompt, or the function does not work.
        """
        items = super().build(name, rows, prompting, context_limit)
        tried = [(reply, right) for right in items.answers[:2] for reply in FIRST_REPLIES]
        try:
            items.matcher.scores([reply for reply, _ in tried], [right for _, right in tried])
        except ScorerError as error:
            raise UserError(
                f"{name}: {error}; it was tried on the first rows with the replies "
                f"{' and '.join(map(repr, FIRST_REPLIES))}."
            ) from error
        return items


class FunctionProbe(FunctionKind, Prompted, FileProbe):
    """A `function` probe on a file."""
