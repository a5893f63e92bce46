"""Pairs of replies as token ids: those that people compared, and a policy's own best and worst."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from testing.real_pair.comparisons import MAX_REPLY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testing.real_pair.comparisons import Comparison
    from testing.real_pair.losses import Tree


@dataclass(frozen=True)
class Preference:
    """One prompt with two of the policy's own replies, as token ids.

    Attributes:
        prompt: With the chat template.
        best: The reply of the highest score.
        worst: The reply of the lowest score.
    """

    prompt: tuple[int, ...]
    best: tuple[int, ...]
    worst: tuple[int, ...]

    @property
    def tree(self) -> Tree:
        """The prompt with both replies, the best first."""
        return self.prompt, (self.best, self.worst)


def trees(comparisons: Sequence[Comparison], tokenizer: Any) -> list[Tree]:
    """Comparisons as token ids, replies cut: what both texts begin with, and how each goes on, the chosen one first.

    Pairs that are equal once they are cut are left out.
    """

    def tokens(comparison: Comparison, reply: str) -> list[int]:
        cut = tokenizer.decode(tokenizer.encode(reply, add_special_tokens=False)[:MAX_REPLY])
        text = tokenizer.apply_chat_template(
            [*comparison.prompt, {"role": "assistant", "content": cut}], tokenize=False
        )
        encoded: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return encoded

    pairs = [(tokens(each, each.chosen), tokens(each, each.rejected)) for each in comparisons]
    found: list[Tree] = []
    for chosen, rejected in pairs:
        if chosen != rejected:
            # Each keeps a token of its own: the end of the text, if nothing else.
            common = min(_common(chosen, rejected), len(chosen) - 1, len(rejected) - 1)
            found.append((chosen[:common], (chosen[common:], rejected[common:])))
    return found


def preferences(rows: Sequence[dict[str, Any]], tokenizer: Any) -> list[Preference]:
    """The best and the worst reply to each prompt; prompts whose replies all score the same are left out.

    Args:
        rows: With `prompt` (token ids), `replies` (texts) and `scores`.
        tokenizer: Of the policy.
    """

    def tokens(reply: str) -> tuple[int, ...]:
        encoded = tokenizer.encode(reply, add_special_tokens=False)[:MAX_REPLY]
        # A reply that was cut has no end to be learnt.
        return tuple(encoded) if len(encoded) == MAX_REPLY else (*encoded, tokenizer.eos_token_id)

    made = []
    for row in rows:
        scores = row["scores"]
        best, worst = (row["replies"][scores.index(end(scores))] for end in (max, min))
        if best != worst:
            made.append(Preference(tuple(row["prompt"]), tokens(best), tokens(worst)))
    return made


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(first, second, strict=False)))
