"""`kind: kl`: how far a model's next-token distributions are from those of base."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ama_ray.config.probes import FileProbe
from ama_ray.engine.requests import NextToken
from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.perplexity import PlainText, tokens_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row

_LEAST = 1e-6
"""What is left of a float32 softmax after the whole vocabulary is subtracted is noise below this."""


@dataclass(frozen=True)
class KlItems(PreparedProbe):
    """Requests for next tokens at evenly spaced places of texts.

    Attributes:
        positions: The number of requests, per text.
    """

    requests: tuple[NextToken, ...]
    positions: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of items."""
        return len(self.positions)

    def statistics(self, answers: Sequence[Any], base: Sequence[Any]) -> NDArray[np.float64]:
        """Sum of the divergences (nats) from base at the positions of every text, and how many there are."""
        divergences = iter([divergence(ours, theirs) for ours, theirs in zip(answers, base, strict=True)])
        sums = [sum(islice(divergences, count)) for count in self.positions]
        return np.column_stack([sums, self.positions]).astype(np.float64)


class Kl(PlainText):
    """Mean Kullback-Leibler divergence of the model from base, KL(model || base), in nats per token. Rows: `text`.

    Lower is better; base has 0. At `positions` evenly spaced places of every text the next-token distributions of both
    are compared as far as their likeliest tokens tell: the result is a lower bound, exact where these are the whole
    vocabulary.
    """

    scored_by: ClassVar[str] = "kl"

    kind: Literal["kl"] = "kl"
    positions: int = Field(8, ge=1, description="places of a text")

    def build(self, name: str, rows: Sequence[Row], prompting: Prompting, context_limit: int | None) -> KlItems:
        """Checks and tokenises rows; of a text longer than the model takes, its beginning counts.

        Raises:
            UserError: A row lacks the text, or it has no tokens.
        """
        requests: list[NextToken] = []
        counts = []
        for row in rows:
            first, tokens = tokens_of(prompting.tokenizer, row)
            room = len(tokens) if context_limit is None else context_limit - NextToken((first,)).length + 1
            length = min(len(tokens), room)
            # The middles of as many equal parts.
            places = {(2 * part + 1) * length // (2 * self.positions) for part in range(self.positions)}
            requests += [NextToken((first, *tokens[:place])) for place in sorted(places)]
            counts.append(len(places))
        return KlItems(name, tuple(requests), tuple(counts))


class KlProbe(Kl, FileProbe):
    """A `kl` probe on a file."""


def divergence(model: Mapping[int, float], base: Mapping[int, float]) -> float:
    """A lower bound of KL(model || base) in nats, from log-probabilities of the likeliest tokens by token id.

    The tokens that both list are compared one by one, and what neither lists as one event, since merging events never
    raises a divergence. Of a token that only the model lists, base's probability is at most that of the last token on
    base's list; of all that is possible, what brings the two closest is taken. Where the lists hold the whole
    vocabulary, the bound is the divergence.
    """
    model, base = ({token: log for token, log in logs.items() if math.isfinite(log)} for logs in (model, base))
    shared = model.keys() & base.keys()
    total = math.fsum(math.exp(model[token]) * (model[token] - base[token]) for token in shared)
    ours, theirs = (max(1 - math.fsum(math.exp(logs[token]) for token in shared), _LEAST) for logs in (model, base))
    most = math.exp(min(base.values(), default=0.0))
    # Closest is base in proportion to the model, and at its limit where that is beyond it: the likeliest tokens first.
    for chance in sorted((math.exp(model[token]) for token in model.keys() - shared), reverse=True):
        if theirs * chance / ours <= most:
            break
        total += chance * math.log(chance / most)
        ours, theirs = max(ours - chance, _LEAST), max(theirs - most, _LEAST)
    return max(0.0, total + ours * math.log(ours / theirs))
