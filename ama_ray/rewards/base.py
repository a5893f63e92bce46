"""What a kind of reward is (`RewardKind`), and what it makes of its prompts and of replies (`PreparedReward`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.config.rewards import RewardSettings
from ama_ray.data.prompting import Prompting
from ama_ray.engine.requests import Generation
from ama_ray.rewards.chat import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Tokenizer
    from ama_ray.data.rows import Row
    from ama_ray.rewards.chat import ChatMessage


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

    It is sent to the processes of the trials, so it holds no model and no connection.

    Attributes:
        settings: The reward of the run file.
        rows: The rows of the prompt file.
        requests: One per row: `n` sampled replies, with the same seed in every trial.
    """

    settings: RewardSettings
    rows: tuple[Row, ...]
    requests: tuple[Generation, ...]

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The functions of the user behind it, which have to travel to the trials."""
        return ()

    @abstractmethod
    def check(self) -> None:
        """Tries, before any engine starts, what can be tried without one.

        Raises:
            UserError: The scorer does not work, or a row lacks what it needs.
        """

    def score(self, replies: Sequence[Sequence[str]]) -> Scored:
        """Scores `n` replies to every prompt, all in one call of the scorer.

        Raises:
            ScorerError: There is no finite number for every reply; says which scorer, and why.
        """
        rows = [row for row, of_row in zip(self.rows, replies, strict=True) for _ in of_row]
        scored = self._score(rows, [reply for of_row in replies for reply in of_row])
        return Scored(scored.scores.reshape(len(self.rows), -1), scored.tokens)

    @abstractmethod
    def _score(self, rows: Sequence[Row], replies: Sequence[str]) -> Scored:
        """Scores replies, each with the row of its prompt; the scores have the shape (replies,)."""


class RewardKind(RewardSettings, ABC):
    """The settings of a reward that a run file names, and what they do; their address is in `ama_ray.config.rewards`.

    It has a field `kind`, a `Literal` of its name.
    """

    @abstractmethod
    def preparer(self) -> Callable[[RewardSettings, tuple[Row, ...], tuple[Generation, ...]], PreparedReward]:
        """Opens the scorer, which both splits share.

        Returns:
            What makes a prepared reward of these settings, of rows and of the request for each.

        Raises:
            UserError: The scorer is missing or malformed.
        """


def finite(name: str, scores: Sequence[float], replies: Sequence[str]) -> NDArray[np.float64]:
    """The scores as an array.

    Args:
        name: The name of the scorer, for errors.
        scores: One per reply.
        replies: The replies, for errors.

    Raises:
        ScorerError: One of the scores is not finite; shows the reply.
    """
    array = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ScorerError(f"{name} returned {array[bad]} for the reply {replies[bad]!r:.80}")
    return array


def sampled(
    reward: RewardSettings, rows: Sequence[Row], tokenizer: Tokenizer, seed: int, n: int
) -> tuple[Generation, ...]:
    """The requests for sampled replies to the prompts of a reward.

    Args:
        reward: The reward of the run file.
        rows: The rows of one split of its prompt file.
        tokenizer: The tokenizer of the pair.
        seed: The seed of the run.
        n: How many replies there are per prompt; one where they are greedy.

    Raises:
        UserError: A row lacks the prompt, or it cannot be tokenised.
    """
    prompting, sampling = Prompting(tokenizer, reward.prompts.chat), reward.sampling
    field = reward.prompts.field
    if not sampling.temperature:
        n = 1  # all greedy replies to a prompt are the same

    def prompt(row: Row) -> str | list[ChatMessage]:
        as_messages = reward.prompts.chat or isinstance(row.get(field), list)
        return messages(row, field) if as_messages else row.text(field)

    return tuple(
        Generation(
            prompting.tokens(prompt(row), row),
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            n=n,
            seed=seed * 1_000_003 + number * n,  # vLLM gives reply i the seed + i
        )
        for number, row in enumerate(rows, start=1)
    )
