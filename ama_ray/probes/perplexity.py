"""`kind: perplexity` and `kind: bits-per-byte`: how likely plain text is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.config.probes import BitsPerByte, Perplexity
from ama_ray.engine.requests import Continuations
from ama_ray.errors import UserError
from ama_ray.probes.base import PreparedProbe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Tokenizer, Tokens
    from ama_ray.data.rows import Row


@dataclass(frozen=True)
class TextItems(PreparedProbe):
    """The log-likelihood of whole texts after the tokenizer's first token, a request per window.

    Attributes:
        windows: Number of requests, per text.
        units: Tokens or bytes, per text.
    """

    requests: tuple[Continuations, ...]
    windows: tuple[int, ...]
    units: tuple[int, ...]

    @classmethod
    def build(
        cls,
        name: str,
        kind: Perplexity | BitsPerByte,
        rows: Sequence[Row],
        tokenizer: Tokenizer,
        context_limit: int | None,
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
            units.append(len(tokens) if isinstance(kind, Perplexity) else len(row.text("text").encode()))
        return cls(name, tuple(requests), tuple(counts), tuple(units))

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """Negative log-likelihood (nats) of every text, and its tokens or bytes."""
        flat = iter(answers)
        sums = [-sum(score for (score,) in islice(flat, count)) for count in self.windows]
        return np.column_stack([sums, self.units]).astype(np.float64)


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
        first: Token in front of the text.
        tokens: Of the text.
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
