"""What the project needs of a tokenizer, and the field's rule for splitting a context from its continuation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text, with the special tokens the model expects around it."""
        ...


def encode_pair(tokenizer: Tokenizer, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Token ids of a context and of its continuation, split as lm-evaluation-harness does.

    Spaces at the end of the context move to the continuation, and the continuation's tokens are those of the whole
    text that come after as many tokens as the context alone has.
    """
    trailing = len(context) - len(context.rstrip())
    if trailing:
        continuation = context[-trailing:] + continuation
        context = context[:-trailing]
    whole = tokenizer.encode(context + continuation)
    split = len(tokenizer.encode(context))
    return tuple(whole[:split]), tuple(whole[split:])


def prompt_tokens(tokenizer: Tokenizer, prompt: str, file: Path, number: int) -> tuple[int, ...]:
    """Token ids of a prompt.

    Raises:
        UserError: There are none; names the file and the row.
    """
    tokens = tuple(tokenizer.encode(prompt))
    if not tokens:
        raise UserError(f"{file}, row {number}: the prompt has no tokens; give it some text.")
    return tokens
