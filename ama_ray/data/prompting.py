"""From the text of an item to token ids: examples in front, the chat template, and the split of context and answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ama_ray.config.sampling import Chat
from ama_ray.data.chat_template import render
from ama_ray.data.thinking import Thinking
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.rows import Row

Tokens = tuple[int, ...]
PLAIN = Chat()


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    chat_template: Any
    all_special_tokens: list[str]

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text, with the special tokens the model expects around it."""
        ...

    def get_added_vocab(self) -> dict[str, int]:
        """The tokens that are not made by the tokenizer's algorithm, with their ids."""
        ...

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, **kwargs: Any
    ) -> Any:
        """The text of a conversation, up to where the model's reply begins."""
        ...


@dataclass(frozen=True)
class Prompting:
    """How the prompts of one source are put to the model.

    Attributes:
        tokenizer: Of the pair.
        settings: Whether the chat template is applied, the prompt being the user's message, and how.
        examples: Text in front of every prompt: solved examples, or nothing.
        seed: Of sampled replies; the run's.
    """

    tokenizer: Tokenizer
    settings: Chat = PLAIN
    examples: str = ""
    seed: int = 0

    @property
    def chat(self) -> bool:
        """Whether the chat template is applied."""
        return self.settings.chat

    def tokens(self, prompt: str | Sequence[dict[str, str]], row: Row) -> Tokens:
        """Token ids of a prompt.

        Args:
            prompt: A text, or with `chat` the messages of a conversation (`role`, `content`).
            row: Where it is from, for errors.

        Raises:
            UserError: There are none, or the tokenizer has no chat template.
        """
        return self.asked(prompt, row)[0]

    def asked(self, prompt: str | Sequence[dict[str, str]], row: Row) -> tuple[Tokens, Thinking]:
        """Token ids of a prompt, and where the thinking of replies to it ends; arguments and errors as for `tokens`."""
        text = self._text(prompt, row)
        tokens = tuple(self._encode(text))
        if not tokens:
            raise UserError(f"{row.where}: the prompt has no tokens; give it some text.")
        return tokens, self._thinking.after(text)

    @cached_property
    def _thinking(self) -> Thinking:
        tokenizer = self.tokenizer
        return Thinking.of(tokenizer.get_added_vocab(), tokenizer.all_special_tokens, self.settings.answer_after)

    def pair(self, prompt: str, continuation: str, row: Row) -> tuple[Tokens, Tokens]:
        """Token ids of a prompt and of its continuation, split as lm-evaluation-harness does.

        Spaces at the end of the prompt move to the continuation, and the continuation's tokens are those of the whole
        text that come after as many tokens as the prompt alone has.

        Raises:
            UserError: One of the two has no tokens, or the tokenizer has no chat template.
        """
        context = self._text(prompt, row)
        trailing = len(context) - len(context.rstrip())
        if trailing and not self.chat:
            continuation = context[-trailing:] + continuation
            context = context[:-trailing]
        whole = self._encode(context + continuation)
        split = len(self._encode(context))
        tokens = tuple(whole[:split]), tuple(whole[split:])
        if not all(tokens):
            raise UserError(f"{row.where}: the prompt or a choice has no tokens; give both some text.")
        return tokens

    def _text(self, prompt: str | Sequence[dict[str, str]], row: Row) -> str:
        if not self.chat:
            if not isinstance(prompt, str):
                raise UserError(f"{row.where}: the prompt is not text; a list of messages needs `chat: true`.")
            return self.examples + prompt
        if not self.tokenizer.chat_template:
            raise UserError(f"{row.where}: `chat: true`, but the tokenizer of the pair has no chat template.")
        template, told = self.tokenizer.chat_template, self.settings.chat_template_kwargs
        if unknown := [name for name in told if isinstance(template, str) and name not in template]:
            raise UserError(f"chat_template_kwargs: the pair's chat template knows no {unknown[0]!r}.")
        said = [{"role": "user", "content": self.examples + prompt}] if isinstance(prompt, str) else list(prompt)
        if self.settings.system is not None and said[0]["role"] != "system":
            said = [{"role": "system", "content": self.settings.system}, *said]
        try:
            return render(self.tokenizer, said, add_generation_prompt=True, **told)
        except Exception as error:  # a template raises what it likes
            raise UserError(f"{row.where}: the pair's chat template refuses this prompt ({one_line(error)}).") from None

    def _encode(self, text: str) -> list[int]:
        # A chat template writes the special tokens itself.
        return self.tokenizer.encode(text, add_special_tokens=False) if self.chat else encoded(self.tokenizer, text)


def encoded(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text that goes on: what the tokenizer puts in front of texts is there once, and nothing behind.

    A text may begin with the beginning token itself. And a tokenizer may put an end token behind every text, which
    was meant for training: after it, there is nothing to score or to generate.
    """
    whole = tokenizer.encode(text)
    special = getattr(tokenizer, "all_special_ids", ())
    if not whole or (whole[-1] not in special and whole[:1] != whole[1:2]):
        return whole
    bare = tokenizer.encode(text, add_special_tokens=False)
    if not bare:
        return [token for token in whole[:1] if token == getattr(tokenizer, "bos_token_id", None)]
    places = range(len(whole) - len(bare) + 1)
    front = whole[: next((place for place in places if whole[place:][: len(bare)] == bare), 0)]
    return bare if front == bare[: len(front)] else front + bare
