"""`PreparedReward`: prompts turned into requests for sampled replies, and replies into a score each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ama_ray.engine.requests import Generation
from ama_ray.prompting import Prompting

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.config import Reward
    from ama_ray.prompting import Tokenizer
    from ama_ray.sources import Row


class ScorerError(RuntimeError):
    """A scorer failed, or returned something that is not one finite number per reply."""


@dataclass(frozen=True)
class Scored:
    """What a scorer made of replies.

    Attributes:
        scores: One per reply, shape (prompts, n).
        tokens: Tokens that a judge was sent and sent back, by kind (`prompt`, `completion`); empty without a judge.
    """

    scores: NDArray[np.float64]
    tokens: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedReward(ABC):
    """One reward on one split, read, checked and tokenised: the same for every trial.

    Attributes:
        settings: The reward of the run file.
        rows: The rows of the prompt file.
        requests: One per row: `n` sampled replies, with the same seed in every trial.
    """

    settings: Reward
    rows: tuple[Row, ...]
    requests: tuple[Generation, ...]

    @abstractmethod
    def score(self, replies: Sequence[Sequence[str]]) -> Scored:
        """Scores `n` replies to every prompt.

        Raises:
            ScorerError: There is no finite number for every reply; says which scorer, and why.
        """


def sampled(reward: Reward, rows: Sequence[Row], tokenizer: Tokenizer, seed: int, n: int) -> tuple[Generation, ...]:
    """The requests for sampled replies to the prompts of a reward.

    Args:
        reward: Of the run file.
        rows: Of one split of its prompt file.
        tokenizer: Of the pair.
        seed: Of the run.
        n: Replies per prompt.

    Raises:
        UserError: A row lacks the prompt, or it cannot be tokenised.
    """
    prompting, sampling = Prompting(tokenizer, reward.prompts.chat), reward.sampling
    field = reward.prompts.field
    return tuple(
        Generation(
            prompting.tokens(row.get(field) if reward.prompts.chat else row.text(field), row),
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            n=n,
            seed=seed * 1_000_003 + number * n,  # vLLM gives reply i the seed + i
        )
        for number, row in enumerate(rows, start=1)
    )
