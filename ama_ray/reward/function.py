"""The reward as a Python function of prompt rows and replies."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.jsonl import read_rows, text_field
from ama_ray.tokens import prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ama_ray.config import Reward
    from ama_ray.tokens import Tokenizer

Scorer = Callable[[list[dict[str, Any]], list[str]], list[float]]


class ScorerError(RuntimeError):
    """The user's scorer raised, or returned something that is not one finite number per reply."""


@dataclass(frozen=True)
class FunctionReward:
    """A reward function with its prompts, read and tokenised.

    Attributes:
        settings: The reward of the run file.
        rows: The rows of the prompt file.
        requests: One per row: `n` sampled replies, with the same seed in every trial.
        scorer: The user's function.
    """

    settings: Reward
    rows: tuple[dict[str, Any], ...]
    requests: tuple[Generation, ...]
    scorer: Scorer

    @classmethod
    def read(cls, reward: Reward, tokenizer: Tokenizer, seed: int) -> FunctionReward:
        """Reads and tokenises the prompts and imports the scorer.

        Raises:
            UserError: The prompt file or the scorer is missing or malformed.
        """
        scorer = load_scorer(reward.scorer)
        file, sampling = reward.prompts.file, reward.sampling
        rows = tuple(read_rows(file))
        requests = tuple(
            Generation(
                prompt_tokens(tokenizer, text_field(row, reward.prompts.field, file, number), file, number),
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                n=sampling.n,
                seed=seed * 1_000_003 + number * sampling.n,  # vLLM gives reply i the seed + i
            )
            for number, row in enumerate(rows, start=1)
        )
        return cls(reward, rows, requests, scorer)

    def scores(self, replies: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """The score of every reply, shape (prompts, n).

        Raises:
            ScorerError: The scorer raised, or did not return one finite number per reply.
        """
        rows = [row for row, row_replies in zip(self.rows, replies, strict=True) for _ in row_replies]
        flat = [reply for row_replies in replies for reply in row_replies]
        name = self.settings.scorer
        try:
            scores = self.scorer(rows, flat)
        except Exception as error:
            raise ScorerError(f"the scorer {name} raised {type(error).__name__}: {error}") from error
        try:
            array = np.array([float(score) for score in scores])
        except (TypeError, ValueError):
            raise ScorerError(f"the scorer {name} must return a list of numbers, not {scores!r:.80}") from None
        if array.shape != (len(flat),):
            raise ScorerError(f"the scorer {name} returned {len(array)} scores for {len(flat)} replies")
        if not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array))[0])
            raise ScorerError(f"the scorer {name} returned {array[bad]} for the reply {flat[bad]!r:.80}")
        return array.reshape(len(self.rows), -1)


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
