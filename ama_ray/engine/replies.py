"""`Reply`: what a model said to a prompt, as rewards and probes get it. Imports no vllm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.engine.requests import Answer, Finish, Generation


@dataclass(frozen=True)
class Reply:
    """One reply.

    Attributes:
        text: What is graded: the answer after the thinking, or all of a reply that does not think; empty where it is
            `cut_off`.
        thinking: What comes before the answer, without the marks around it.
        finish: What ended it: an `end` token, a `stop` string, or the `length` that a reply may have.
        tokens: How many were generated, those of the thinking included.
        cut_off: Whether it ended before its thinking did: it has no answer, and no probe takes it for right.
    """

    text: str
    thinking: str = ""
    finish: Finish = "end"
    tokens: int = 0
    cut_off: bool = False

    @property
    def whole(self) -> str:
        """For people to read, its thinking included."""
        cut = " [cut off]" if self.cut_off else ""
        return f"[thinking: {self.thinking}{cut}]\n{self.text}" if self.thinking else self.text


def read(request: Generation, answer: Answer) -> list[Reply]:
    """The replies of vLLM's answer to a request.

    Stop strings count behind the thinking only, also where vLLM was not told of them.
    """
    parts = zip(answer.texts, answer.finishes, answer.counts, strict=True)
    return [reply_of(request, *part) for part in parts]


def ended_in_thinking(replies: Sequence[Reply]) -> bool:
    """Whether vLLM ended one of the replies at a stop string that the model only thought."""
    return any(reply.cut_off and reply.finish == "stop" for reply in replies)


def reply_of(request: Generation, text: str, finish: Finish, tokens: int) -> Reply:
    """One reply to a request, of its whole text."""
    thinking, answer = ("", text) if request.thinking is None else request.thinking.split(text)
    if answer is None:
        return Reply("", thinking, finish, tokens, cut_off=True)
    first = min((place for stop in request.stop if (place := answer.find(stop)) >= 0), default=None)
    return Reply(answer[:first], thinking, finish if first is None else "stop", tokens)
