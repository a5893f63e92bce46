"""The reward as a Python function of prompt rows and replies."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import itertools
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ama_ray.config.fields import FunctionAddress
from ama_ray.engine.replies import Reply
from ama_ray.errors import UserError
from ama_ray.rewards.base import PreparedReward, RewardKind, Scored, ScorerError, finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.data.rows import Row

Scorer = Callable[..., list[float]]

FIRST_REPLIES = ("Yes.", "")
"""What a scorer is tried on before any engine starts: any model may say the one, or end at once."""

_modules = itertools.count()


@dataclass(frozen=True)
class FunctionScores(PreparedReward):
    """A function of the user, `score(rows, replies)`, with its prompts.

    Attributes:
        address: `file.py:function`.
        scorer: The function.
    """

    address: str
    scorer: Scorer

    @property
    def functions(self) -> tuple[Scorer, ...]:
        """The scorer."""
        return (self.scorer,)

    def check(self) -> None:
        """Calls the scorer once, on the first two rows with two short replies each.

        There is no tolerance: a trial in which a model says nothing would fail in the same way. The function is
        imported anew for this, as what it keeps in its module after a call might not be fit to be sent to the trials.

        Raises:
            UserError: It raised, or did not return one finite number per reply.
        """
        rows = tuple(copy.deepcopy(self.rows[:2]))
        tried = replace(self, rows=rows, requests=self.requests[:2], scorer=load_scorer(self.address))
        try:
            tried.score([[Reply(text) for text in FIRST_REPLIES]] * len(rows))
        except ScorerError as error:
            raise UserError(
                f"reward.scorer: {error}; it was tried on the first rows with the replies "
                f"{' and '.join(map(repr, FIRST_REPLIES))}, and must give every reply a finite number."
            ) from error

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        return Scored(called(self.address, self.scorer, [row.fields for row in rows], replies))


class FunctionReward(RewardKind):
    """The mean of a Python function over sampled replies to the prompts.

    `scorer` is `file.py:function`, the function being
    `score(rows: list[dict], replies: list[str]) -> list[float]`, one row of the prompt file per reply. Where `replies`
    is annotated `list[Reply]` (`from ama_ray import Reply`), it gets `text`, `thinking`, `finish` (`end`, `stop` or
    `length`), `tokens`, and `cut_off`, whether a reply ended in its thinking: its text is then empty.
    """

    kind: Literal["function"]
    scorer: FunctionAddress = Field(description="scores replies")

    def preparer(self) -> Callable[..., FunctionScores]:
        """Imports the function."""
        return partial(FunctionScores, address=self.scorer, scorer=load_scorer(self.scorer))


def called(
    address: str, scorer: Scorer, rows: list[dict[str, Any]], replies: Sequence[Reply], *more: Any
) -> NDArray[np.float64]:
    """Calls a user's scorer and checks what it returns.

    Args:
        address: `file.py:function`, for errors.
        scorer: The function.
        rows: What it is given first.
        replies: What it is given next: texts, or the replies themselves where it is annotated so.
        more: What it is given besides.

    Raises:
        ScorerError: It raised, or did not return one finite number per reply.
    """
    name = f"the scorer {address}"
    try:
        scores = scorer(rows, list(replies) if takes_replies(scorer) else [reply.text for reply in replies], *more)
    except Exception as error:
        raise ScorerError(f"{name} raised {type(error).__name__}: {error}") from error
    try:
        numbers = [float(score) for score in scores]
    except (TypeError, ValueError):
        raise ScorerError(f"{name} must return a list of numbers, not {scores!r:.80}") from None
    if len(numbers) != len(replies):
        raise ScorerError(f"{name} returned {len(numbers)} scores for {len(replies)} replies")
    return finite(name, numbers, replies)


def takes_replies(scorer: Scorer) -> bool:
    """Whether the second parameter of a scorer is annotated with `Reply`; else it takes texts."""
    _, replies, *_ = [*inspect.signature(scorer).parameters.values(), None, None]
    return replies is not None and re.search(r"\bReply\b", str(replies.annotation)) is not None


def load_scorer(address: str) -> Scorer:
    """Imports `file.py:function`, in a module of its own even where the same file was imported before.

    Raises:
        UserError: There is no such file or function, or importing the file fails.
    """
    path, _, name = address.rpartition(":")
    file = Path(path).resolve()
    if not file.is_file():
        raise UserError(f"reward.scorer: there is no file {file}; give file.py:function.")
    module_name = f"ama_ray_scorer_{next(_modules)}_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"reward.scorer: {file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"reward.scorer: importing {file} raised {type(error).__name__}: {error}.") from error
    scorer: Scorer | None = getattr(module, name, None)
    if not callable(scorer):
        raise UserError(f"reward.scorer: {file} has no function {name!r}; define it there.")
    return scorer
