"""The reward of the miniature: how kind, relevant and useful a reply to a chat prompt is.

Loaded by path (`reward.py:score`), so this file stands alone: it imports nothing of the package.
"""

from itertools import pairwise
from typing import Any

KIND = frozenset(["happy", "glad", "thank", "welcome", "please", "luck", "nice", "hope", "helps"])
RUDE = frozenset(["away", "stupid", "bored", "ugly", "nobody", "hate", "lazy", "fool", "leave", "never", "shut", "no"])


def score(rows: list[dict[str, Any]], replies: list[str]) -> list[float]:
    """Reward replies to chat prompts.

    Args:
        rows: One row of `prompts.jsonl` per reply, with `topic` (what the user asked about) and
            `actions` (the verbs that help with it).
        replies: The replies, as words joined by single spaces.

    Returns:
        One reward per reply, at most 5: up to 2 for kind words, minus up to 3 for rude ones,
        1 for naming the topic, 0.75 for each of two fitting actions, 0.5 for giving an order of
        steps; less 0.25 for each word past 20, 0.5 for each repeated pair of words, and 1 for a
        reply of fewer than three words.
    """
    return [_score(row, reply.split()) for row, reply in zip(rows, replies, strict=True)]


def _score(row: dict[str, Any], words: list[str]) -> float:
    said = set(words)
    bigrams = list(pairwise(words))
    return (
        min(2, len(said & KIND))
        - min(3, len(said & RUDE))
        + (row["topic"] in said)
        + 0.75 * min(2, len(said & set(row["actions"])))
        + 0.5 * ({"first", "then"} <= said)
        - 0.25 * max(0, len(words) - 20)
        - 0.5 * (len(bigrams) - len(set(bigrams)))
        - (len(words) < 3)
    )
