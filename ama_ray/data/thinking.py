"""`Thinking`: where the thinking of a reply ends, and its answer begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MARKS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""How models begin and end their thinking, as far as vLLM's reasoning parsers (`vllm/reasoning/`) know two fixed texts.
The first are those of a tokenizer that has none of them as a token: many models write them letter by letter."""


@dataclass(frozen=True)
class Thinking:
    """Where the thinking of the replies to one prompt ends.

    Attributes:
        end: The text behind which the answer begins; where it stands several times, the first counts.
        begin: The text by which a reply that thinks is known; without it and without `end`, all of a reply is answer.
        always: Whether every reply thinks, as the prompt has begun it, or as the run file says.
        special: Special tokens of the tokenizer, where a mark is one: a decoder leaves them all out unless told
            otherwise.
    """

    end: str
    begin: str = ""
    always: bool = False
    special: tuple[str, ...] = ()

    @classmethod
    def of(cls, added: Collection[str], special: Sequence[str], answer_after: str | None) -> Thinking:
        """What is known of replies before there is a prompt.

        Args:
            added: Tokens that the tokenizer has been given whole.
            special: Its special tokens.
            answer_after: The run file's mark of the end; None for the tokenizer's own.
        """
        begin, end = next((marks for marks in MARKS if marks[1] in added), MARKS[0])
        begin, end = ("", answer_after) if answer_after else (begin, end)
        shown = any(token in begin or token in end for token in special)
        return cls(end, begin, always=not begin, special=tuple(special) if shown else ())

    def after(self, prompt: str) -> Thinking:
        """What is known of the replies to a prompt, which may have begun their thinking."""
        return replace(self, always=True) if self.begin and prompt.rstrip().endswith(self.begin) else self

    def split(self, text: str) -> tuple[str, str | None]:
        """Divides a reply.

        Returns:
            Its thinking, and its answer: None where the thinking never ended.
        """
        thinking, found, answer = text.partition(self.end)
        if found:
            return self._plain(thinking.replace(self.begin, "", 1)), self._plain(answer)
        if self.always or self.begin in text:
            return self._plain(text.replace(self.begin, "", 1)), None
        return "", self._plain(text)

    def _plain(self, text: str) -> str:
        for token in self.special:
            text = text.replace(token, "")
        return text
