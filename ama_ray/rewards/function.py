"""The reward as a Python function of prompt rows and replies."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ama_ray.config.fields import FunctionAddress
from ama_ray.data.rows import read_text
from ama_ray.engine.replies import Reply
from ama_ray.errors import UserError
from ama_ray.processes.worker import CallError, Function, call
from ama_ray.reading import read_bytes
from ama_ray.rewards import scorer_side
from ama_ray.rewards.base import PreparedReward, RewardKind, Scored, ScorerError, finite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.data.rows import Row

ADAPTER = f"{scorer_side.__name__}:adapted"
FIRST_REPLIES = ("Yes.", "")
"""What a scorer is tried on before any engine starts: any model may say the one, or end at once."""


@dataclass(frozen=True)
class FunctionScores(PreparedReward):
    """A function of the user, `score(rows, replies)`, with its prompts.

    Attributes:
        function: What is called.
        timeout: Seconds that a call may take.
    """

    function: Function
    timeout: float

    @property
    def sources(self) -> dict[str, str]:
        """The file of the function."""
        return {self.function.address.rpartition(":")[0]: self.function.source or ""}

    def check(self) -> None:
        """Calls the scorer once, on the first two rows with two short replies each.

        There is no tolerance: a trial in which a model says nothing would fail in the same way.

        Raises:
            UserError: It cannot be imported, raised, or did not return one finite number per reply.
        """
        tried = replace(self, rows=self.rows[:2], requests=self.requests[:2])
        try:
            tried.score([[Reply(text) for text in FIRST_REPLIES]] * len(tried.rows))
        except ScorerError as error:
            raise UserError(
                f"reward.scorer: {error}; it was tried on the first rows with the replies "
                f"{' and '.join(map(repr, FIRST_REPLIES))}, and must give every reply a finite number."
            ) from error

    def called(self, rows: Sequence[Row], replies: Sequence[Reply], *more: Any) -> NDArray[np.float64]:
        """Calls the scorer, and checks what it returns.

        Args:
            rows: Of the replies.
            replies: What it scores.
            more: What it is given besides.

        Raises:
            ScorerError: It did not return one finite number per reply.
        """
        name = f"the scorer {self.function.address}"
        given = [row.fields for row in rows], [asdict(reply) for reply in replies]
        try:
            numbers = call(self.function, *given, *more, timeout=self.timeout)
        except CallError as error:
            raise ScorerError(f"{name} {error}") from error
        if len(numbers) != len(replies):
            raise ScorerError(f"{name} returned {len(numbers)} scores for {len(replies)} replies")
        return finite(name, numbers, replies)

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        return Scored(self.called(rows, replies))


class FunctionReward(RewardKind):
    """The mean of a Python function over sampled replies to the prompts.

    `scorer` is `file.py:function`, the function being
    `score(rows: list[dict], replies: list[str]) -> list[float]`, one row of the prompt file per reply. Where `replies`
    is annotated `list[Reply]` (`from ama_ray import Reply`), it gets `text`, `thinking`, `finish` (`end`, `stop` or
    `length`), `tokens`, and `cut_off`, whether a reply ended in its thinking: its text is then empty. It is called in
    the main thread of a process of its own beside every engine, which it keeps from trial to trial. A class in its
    place is made there once, and what it made is called.
    """

    kind: Literal["function"]
    scorer: FunctionAddress = Field(description="scores replies")
    timeout: float = Field(600, gt=0, description="seconds that a call of the scorer may take")

    def preparer(self) -> Callable[..., FunctionScores]:
        """Reads the function's file."""
        return partial(FunctionScores, function=read_function(self.scorer), timeout=self.timeout)


def read_function(address: str, field: str = "reward.scorer") -> Function:
    """Reads the file of `file.py:function`, or of a pickled function.

    Args:
        address: Of the function.
        field: Of the run file, for errors.

    Raises:
        UserError: There is no such file.
    """
    path, _, name = address.rpartition(":")
    file = Path(path).resolve()
    if not file.is_file():
        raise UserError(f"{field}: there is no file {file}; give file.py:function.")
    is_text = file.suffix == ".py"
    source = read_text(file) if is_text else base64.b64encode(read_bytes(file)).decode()
    return Function(f"{file}:{name}", source, adapted_by=ADAPTER)
