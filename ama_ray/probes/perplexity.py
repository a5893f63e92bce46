"""`kind: perplexity` and `kind: bits-per-byte`: how likely plain text is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ama_ray.config.probes import FileProbe
from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.probes.base import PreparedProbe, ProbeKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting, Tokenizer, Tokens
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class TextItems(PreparedProbe):
    """The log-likelihood of whole texts after the tokenizer's first token, a request per window.

    Attributes:
        windows: The number of requests, per text.
        units: The number of tokens or bytes, per text.
    """

    requests: tuple[Continuations, ...]
    windows: tuple[int, ...]
    units: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of items."""
        return len(self.units)

    @classmethod
    def of(
        cls, name: str, rows: Sequence[Row], tokenizer: Tokenizer, context_limit: int | None, *, in_bytes: bool
    ) -> TextItems:
        """Checks and tokenises rows.

        Raises:
            UserError: A row lacks the text, or it has no tokens.
        """
        requests: list[Continuations] = []
        counts, units = [], []
        for row in rows:
            first, tokens = tokens_of(tokenizer, row)
            asked = [Continuations(context, (after,)) for context, after in windows(first, tokens, context_limit)]
            requests += asked
            counts.append(len(asked))
            units.append(len(row.text("text").encode()) if in_bytes else len(tokens))
        return cls(name, tuple(requests), tuple(counts), tuple(units))

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """Negative log-likelihood (nats) of every text, and its tokens or bytes."""
        flat = iter(answers)
        sums = [-sum(score for (score,) in islice(flat, count)) for count in self.windows]
        return np.column_stack([sums, self.units]).astype(np.float64)


class PlainText(ProbeKind):
    """Plain text, which is no question that an example could solve."""

    def solved(self, row: Row) -> str:
        """There are no solved examples of plain text.

        Raises:
            ValueError: Always.
        """
        raise ValueError("plain text takes no examples")


class Perplexity(PlainText):
    """Perplexity per token on plain text; lower is better. Rows: `text`.

    A text that is longer than the model's context is scored in windows, as lm-evaluation-harness does.
    """

    scored_by: ClassVar[str] = "perplexity"

    kind: Literal["perplexity"] = "perplexity"

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> TextItems:
        """Checks and tokenises rows; see `TextItems.of`."""
        return TextItems.of(name, rows, prompting.tokenizer, context_limit, in_bytes=False)


class BitsPerByte(PlainText):
    """Bits per UTF-8 byte of plain text; lower is better. Rows as for `perplexity`, and the same requests."""

    scored_by: ClassVar[str] = "bits-per-byte"

    kind: Literal["bits-per-byte"] = "bits-per-byte"

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> TextItems:
        """Checks and tokenises rows; see `TextItems.of`."""
        return TextItems.of(name, rows, prompting.tokenizer, context_limit, in_bytes=True)


class PerplexityProbe(Perplexity, FileProbe):
    """A `perplexity` probe on a file."""


class BitsPerByteProbe(BitsPerByte, FileProbe):
    """A `bits-per-byte` probe on a file."""


def tokens_of(tokenizer: Tokenizer, row: Row) -> tuple[int, Tokens]:
    """The token that stands in front of a text, and the tokens of the text.

    In front is the beginning token, or the end token where there is none, as in lm-evaluation-harness; once, also where
    the tokenizer would add it by itself, so that it is never scored.

    Raises:
        UserError: The row lacks the text, or it has no tokens, or the tokenizer has neither special token.
    """
    special = (getattr(tokenizer, name, None) for name in ("bos_token_id", "eos_token_id"))
    first = next((token for token in special if token is not None), None)
    if first is None:
        raise UserError(
            f"{row.where}: the tokenizer of the pair has neither a bos_token nor an eos_token to stand in front of the "
            "text; add one to its tokenizer_config.json."
        )
    tokens = tuple(tokenizer.encode(row.text("text"), add_special_tokens=False))
    if not tokens:
        raise UserError(f"{row.where}: the field 'text' has no tokens; give it some text.")
    return first, tokens


def windows(first: int, tokens: Tokens, context_limit: int | None) -> Iterator[tuple[Tokens, Tokens]]:
    """A text in parts that a model can take, every token scored once, as lm-evaluation-harness divides it.

    Each part is as long as the model takes, and its context is the one token before it; but the context of the last
    part, which has fewer tokens, goes back as far as there is room.

    Args:
        first: The token in front of the text.
        tokens: The tokens of the text.
        context_limit: Most tokens the model takes, or None for one part.

    Yields:
        Context and what is scored after it, together with the one token that ends every request at most
        `context_limit` tokens.
    """
    most = len(tokens) if context_limit is None else context_limit - Continuations((first,), ((),)).length
    whole = (first, *tokens)
    for start in range(1, len(whole), most):
        end = min(start + most, len(whole))
        yield whole[max(0, end - most - 1) : start], whole[start:end]
