"""The reward as a Python function of prompt rows and replies."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.errors import UserError
from ama_ray.reward.prepared import PreparedReward, Scored, ScorerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config import FunctionReward

Scorer = Callable[..., list[float]]


@dataclass(frozen=True)
class FunctionScores(PreparedReward):
    """A reward function with its prompts."""

    settings: FunctionReward
    scorer: Scorer

    def score(self, replies: Sequence[Sequence[str]]) -> Scored:
        """Calls the user's function with the row of every reply and the reply.

        Raises:
            ScorerError: It raised, or did not return one finite number per reply.
        """
        rows = [row.fields for row, of_row in zip(self.rows, replies, strict=True) for _ in of_row]
        flat = [reply for of_row in replies for reply in of_row]
        return Scored(called(self.settings.scorer, self.scorer, flat, rows, flat).reshape(len(self.rows), -1))


def called(name: str, scorer: Scorer, replies: Sequence[str], *arguments: Any) -> NDArray[np.float64]:
    """Calls a user's scorer and checks what it returns.

    Args:
        name: `file.py:function`, for errors.
        scorer: The function.
        replies: For errors, and for how many numbers to expect.
        arguments: What it is called with.

    Raises:
        ScorerError: It raised, or did not return one finite number per reply.
    """
    try:
        scores = scorer(*arguments)
    except Exception as error:
        raise ScorerError(f"the scorer {name} raised {type(error).__name__}: {error}") from error
    try:
        array = np.array([float(score) for score in scores])
    except (TypeError, ValueError):
        raise ScorerError(f"the scorer {name} must return a list of numbers, not {scores!r:.80}") from None
    if array.shape != (len(replies),):
        raise ScorerError(f"the scorer {name} returned {len(array)} scores for {len(replies)} replies")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ScorerError(f"the scorer {name} returned {array[bad]} for the reply {replies[bad]!r:.80}")
    return array


def load_scorer(address: str) -> Scorer:
    """Imports `file.py:function`.

    Raises:
        UserError: There is no such file or function, or importing the file fails.
    """
    path, _, name = address.rpartition(":")
    file = Path(path).resolve()
    if not file.is_file():
        raise UserError(f"reward.scorer: there is no file {file}; give file.py:function.")
    module_name = f"ama_ray_scorer_{file.stem}"
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
        raise UserError(f"reward.scorer: {file} has no function {name!r}; define {name}(rows, replies) there.")
    return scorer
