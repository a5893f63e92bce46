"""`Conversation`: what was said, and how it is put to a model with a chat template or without."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from ama_ray.data.hub import read_rows
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.cli.chat.client import ChatRequest
    from ama_ray.config.rewards import Prompts


@dataclass(frozen=True)
class Frame:
    """What stands before and after a message where there is no chat template.

    Attributes:
        before: Such as `user : `; a reply that comes to it again has ended.
        after: Such as ` reply :`.
    """

    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, prompts: Sequence[str]) -> Frame:
        """What prompts that differ have in common at their ends, in whole words."""
        if len(set(prompts)) < 2:
            return cls()
        before = _common([re.findall(r"\S+\s*", prompt) for prompt in prompts])
        rests = [prompt.removeprefix("".join(before)) for prompt in prompts]
        after = _common([re.findall(r"\s*\S+", rest)[::-1] for rest in rests])
        return cls("".join(before), "".join(after[::-1]))

    @classmethod
    def of_run(cls, prompts: Prompts) -> Frame:
        """That of a run's reward prompts; an empty one where they are not texts, or not there any more."""
        try:
            return cls.of([row.text(prompts.field) for row in read_rows(prompts.file)])
        except UserError:
            return cls()

    def around(self, message: str) -> str:
        """A message in its frame; one that was typed in its frame stays as it is."""
        bare = message.removeprefix(self.before).removesuffix(self.after)
        return f"{self.before}{bare}{self.after}"


@dataclass
class Conversation:
    """What was said so far.

    Attributes:
        frame: Around each message; None where the chat template is used.
        exchanges: Messages with their replies.
    """

    frame: Frame | None
    exchanges: list[tuple[str, str]] = field(default_factory=list)

    def copy(self) -> Conversation:
        """The same so far, from where it goes on by itself."""
        return Conversation(self.frame, list(self.exchanges))

    def asked(self, message: str) -> ChatRequest:
        """What a server is to be asked for the reply to one more message."""
        if self.frame is None:
            said = [
                (role, text) for each in self.exchanges for role, text in zip(("user", "assistant"), each, strict=True)
            ]
            return {"messages": [{"role": role, "content": text} for role, text in [*said, ("user", message)]]}
        before = [f"{self.frame.around(asked)} {reply.strip()}\n" for asked, reply in self.exchanges]
        return {"prompt": "".join([*before, self.frame.around(message)])}

    @property
    def stop(self) -> list[str]:
        """Texts that end a reply."""
        return [self.frame.before.strip()] if self.frame and self.frame.before.strip() else []


def _common(texts: Sequence[list[str]]) -> list[str]:
    """The words with which all begin, each with the space that belongs to it."""
    alike = takewhile(lambda words: len(set(words)) == 1, zip(*texts, strict=False))
    return [words[0] for words in alike]
