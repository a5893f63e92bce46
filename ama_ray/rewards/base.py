"""What a kind of reward is (`RewardKind`), and what it makes of its prompts and of replies (`PreparedReward`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ama_ray.config.rewards import RepliesReward
from ama_ray.data.prompting import Prompting
from ama_ray.engine.requests import Generation
from ama_ray.rewards.chat import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Tokenizer
    from ama_ray.data.rows import Row
    from ama_ray.engine.replies import Reply
    from ama_ray.rewards.chat import ChatMessage


class ScorerError(RuntimeError):
    """A scorer failed, or returned something that is not one finite number per reply or item.

    Attributes:
        written: What commands wrote, for the log, by name of their reward or probe.
    """

    def __init__(self, message: str, written: Mapping[str, str] | None = None) -> None:
        """Says why."""
        super().__init__(message)
        self.written = dict(written or {})


@dataclass(frozen=True)
class Scored:
    """What a scorer made of replies.

    Attributes:
        scores: One per reply, shape (prompts, n); NaN where a judge gave none.
        tokens: Tokens that a judge was sent and sent back, by kind (`prompt`, `completion`); empty without a judge.
    """

    scores: NDArray[np.float64]
    tokens: dict[str, int] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """The number of replies without a score."""
        return int(np.isnan(self.scores).sum())

    @property
    def items(self) -> NDArray[np.float64]:
        """The mean score of each prompt, shape (prompts, 1), over the replies that have one.

        A prompt without any has the mean of the others, so that it moves none of what is made of them.
        """
        known = ~np.isnan(self.scores)
        counts, sums = known.sum(axis=1), np.where(known, self.scores, 0).sum(axis=1)
        means = sums / np.maximum(counts, 1)
        return np.where(counts > 0, means, means[counts > 0].mean())[:, None]


@dataclass(frozen=True)
class PreparedReward(ABC):
    """One reward on one split, read, checked and tokenised: the same for every trial.

    It is sent to the processes of the trials, so it holds no model and no connection.

    Attributes:
        settings: The reward of the run file.
        rows: The rows of the prompt file.
        requests: One per row: `n` sampled replies, with the same seed in every trial.
    """

    settings: RepliesReward
    rows: tuple[Row, ...]
    requests: tuple[Generation, ...]

    @property
    def sources(self) -> dict[str, str]:
        """The texts of the user's program files behind it, by path."""
        return {}

    @abstractmethod
    def check(self) -> None:
        """Tries, before any engine starts, what can be tried without one.

        Raises:
            UserError: The scorer does not work, or a row lacks what it needs.
        """

    def findings(self) -> str:
        """What `ama-ray check` says of the scorer after trying it out, one line; empty where there is nothing to say.

        Raises:
            UserError: It does not work.
        """
        return ""

    def score(self, replies: Sequence[Sequence[Reply]]) -> Scored:
        """Scores `n` replies to every prompt, all in one call of the scorer.

        Raises:
            ScorerError: There is no finite number for every reply; says which scorer, and why.
        """
        rows = [row for row, of_row in zip(self.rows, replies, strict=True) for _ in of_row]
        scored = self._score(rows, [reply for of_row in replies for reply in of_row])
        return Scored(scored.scores.reshape(len(self.rows), -1), scored.tokens)

    @abstractmethod
    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        """Scores replies, each with the row of its prompt; the scores have the shape (replies,)."""


class RewardKind(RepliesReward, ABC):
    """The settings of a reward that a run file names, and what they do; their address is in `ama_ray.config.rewards`.

    It has a field `kind`, a `Literal` of its name.
    """

    @abstractmethod
    def preparer(self) -> Callable[[RepliesReward, tuple[Row, ...], tuple[Generation, ...]], PreparedReward]:
        """Opens the scorer, which both splits share.

        Returns:
            What makes a prepared reward of these settings, of rows and of the request for each.

        Raises:
            UserError: The scorer is missing or malformed.
        """


def finite(name: str, scores: Sequence[float], replies: Sequence[Reply]) -> NDArray[np.float64]:
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
        raise ScorerError(f"{name} returned {array[bad]} for the reply {replies[bad].text!r:.80}")
    return array


def sampled(
    reward: RepliesReward, rows: Sequence[Row], tokenizer: Tokenizer, seed: int, n: int
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
    prompting, sampling = Prompting(tokenizer, reward.prompts), reward.sampling
    field, seed = reward.prompts.field, seed if sampling.seed is None else sampling.seed

    def prompt(row: Row) -> str | list[ChatMessage]:
        as_messages = reward.prompts.chat or isinstance(row.get(field), list)
        return messages(row, field) if as_messages else row.text(field)

    return tuple(
        Generation.drawn(
            prompting,
            prompt(row),
            row,
            sampling,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop,
            n=n,
            seed=seed * 1_000_003 + number * n,
        )
        for number, row in enumerate(rows, start=1)
    )
