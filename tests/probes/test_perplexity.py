"""Perplexity, bits per byte and divergence: what is asked, and scores against full distributions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, rel_entr

from ama_ray.data.prompting import Prompting
from ama_ray.engine.requests import Continuations, NextToken
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.probes.kl import Kl, KlItems, divergence
from ama_ray.probes.perplexity import BitsPerByte, Perplexity, TextItems, windows
from ama_ray.scores.metrics import METRICS
from tests.support.probe_items import PieceTokenizer, TextTokenizer, rows
from tests.support.words import WordTokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEXTS = (
    "fact : the city of sven is oslo",
    "sum : 5 0 + 5 9 = 1 0 9",
    "note : zita has corn , amber , turtle , miner , cairo . the city is cairo",
)


def test_a_text_is_scored_after_the_first_token_once() -> None:
    (field,) = fields = rows({"text": "the cat sat the cat"})
    for kind, units in ((Perplexity(), 5), (BitsPerByte(), len(field.text("text")))):
        items = kind.build("p", fields, Prompting(TextTokenizer()), None)
        assert items.requests == (Continuations((0,), ((1, 2, 3, 1, 2),)),)
        assert items.statistics([[-7.5]], []).tolist() == [[7.5, units]]


def test_bytes_are_those_of_utf_8() -> None:
    items = BitsPerByte().build("p", rows({"text": "déjà"}), Prompting(TextTokenizer()), None)
    assert items.statistics([[-6 * math.log(2)]], []).tolist() == [[6 * math.log(2), 6]]
    assert METRICS["bits-per-byte"].score(items.statistics([[-6 * math.log(2)]], [])) == pytest.approx(1)


def test_without_a_beginning_token_the_end_token_is_in_front() -> None:
    items = Perplexity().build("p", rows({"text": "a"}), Prompting(PieceTokenizer()), None)
    assert items.requests == (Continuations((1,), ((ord("a"),),)),)


@settings(deadline=None)  # the first example imports lm_eval
@given(length=st.integers(1, 40), limit=st.integers(3, 45) | st.none())
def test_windows_are_those_of_lm_eval(length: int, limit: int | None) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    tokens = tuple(range(1, length + 1))
    parts = list(windows(0, tokens, limit))
    # A request also generates one token, and lm-evaluation-harness does not feed the last one that it scores.
    most = length if limit is None else limit - 2
    theirs = utils.get_rolling_token_windows(list(tokens), prefix_token=0, max_seq_len=most, context_len=1)
    assert parts == [tuple(map(tuple, utils.make_disjoint_window(pair))) for pair in theirs]
    assert [token for _, after in parts for token in after] == list(tokens)
    lengths = [Continuations(context, (after,)).length for context, after in parts]
    assert all(context for context, _ in parts)
    assert limit is None or max(lengths) <= limit


def test_windows_add_up() -> None:
    items = Perplexity().build("p", rows({"text": "a b c d e"}, {"text": "a"}), Prompting(TextTokenizer()), 5)
    assert items.windows == (2, 1)
    assert items.requests[:2] == (Continuations((0,), ((1, 2, 3),)), Continuations((2, 3), ((4, 5),)))
    assert items.statistics([[-1.0], [-2.0], [-4.0]], []).tolist() == [[3, 5], [4, 1]]


@pytest.mark.parametrize(
    ("positions", "places"), [(1, [4]), (2, [2, 6]), (3, [1, 4, 6]), (8, range(8)), (50, range(8))]
)
def test_positions_are_evenly_spaced(positions: int, places: Sequence[int]) -> None:
    text = "a b c d e f g h"
    items = Kl(positions=positions).build("p", rows({"text": text}), Prompting(TextTokenizer()), None)
    assert items.requests == tuple(NextToken(tuple(range(place + 1))) for place in places)
    assert items.positions == (len(places),)


@pytest.mark.parametrize("limit", [2, 3, 5, 9, 20])
def test_no_position_is_beyond_the_context_limit(limit: int) -> None:
    items = Kl(positions=20).build("p", rows({"text": "a b c d e f g h"}), Prompting(TextTokenizer()), limit)
    assert max(request.length for request in items.requests) == min(limit, 9)


LOGITS = arrays(np.float64, 6, elements=st.floats(-40, 40))


@given(LOGITS, LOGITS, st.integers(1, 6), st.integers(1, 6))
def test_a_divergence_is_exact_on_whole_distributions_and_a_lower_bound_on_parts(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], of_ours: int, of_theirs: int
) -> None:
    model, base = log_softmax(ours), log_softmax(theirs)
    exact = float(rel_entr(np.exp(model), np.exp(base)).sum())
    assert divergence(dict(enumerate(model)), dict(enumerate(base))) == pytest.approx(exact, abs=1e-4)
    assert 0 <= divergence(likeliest(model, of_ours), likeliest(base, of_theirs)) <= exact + 1e-4
    assert divergence(dict(enumerate(model)), dict(enumerate(model))) == 0


def likeliest(logs: NDArray[np.float64], most: int) -> dict[int, float]:
    return {int(token): float(logs[token]) for token in np.argsort(-logs)[:most]}


@given(LOGITS, st.integers(1, 5), st.integers(1, 5), st.data())
def test_no_possible_base_is_closer_than_the_bound(
    ours: NDArray[np.float64], of_ours: int, of_theirs: int, data: st.DataObject
) -> None:
    """Any two distributions over many words with the same lists of likeliest words."""
    model, base = (log_softmax(np.concatenate([data.draw(LOGITS), ours])) for _ in range(2))
    listed, listed_of_base = likeliest(model, of_ours), likeliest(base, of_theirs)
    exact = float(rel_entr(np.exp(model), np.exp(base)).sum())
    assert divergence(listed, listed_of_base) <= exact + 1e-4


def test_the_bound_is_the_closest_that_lists_allow() -> None:
    # Base says 3 at most as often as 1; 4 and all others share the 0.3 that is left as they do in the model.
    model = {3: math.log(0.6), 4: math.log(0.15), 0: math.log(0.05)}
    base = {0: math.log(0.5), 1: math.log(0.2)}
    expected = rel_entr([0.05, 0.6, 0.15, 0.2], [0.5, 0.2, 0.3 * 0.15 / 0.35, 0.3 * 0.2 / 0.35]).sum()
    assert divergence(model, base) == pytest.approx(expected)


def test_a_token_that_one_model_never_says_is_among_the_rest() -> None:
    model = {0: math.log(0.5), 1: math.log(0.5)}
    base = {0: math.log(0.5), 1: -math.inf, 2: math.log(0.5)}
    assert divergence(model, base) == pytest.approx(0)
    assert divergence(base, model) == pytest.approx(0)


@pytest.mark.parametrize("kind", [Perplexity(), BitsPerByte(), Kl()])
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "a"}, "the field 'text' is missing"),
        ({"text": 5}, "the field 'text' must be text, not int"),
        ({"text": " "}, "the field 'text' has no tokens"),
    ],
)
def test_a_bad_text_is_named(kind: Perplexity | BitsPerByte | Kl, row: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=f"^items.jsonl, line 2: {words}"):
        _build(kind, {"text": "a"}, row)


def _build(kind: Perplexity | BitsPerByte | Kl, *fields: dict[str, Any]) -> TextItems | KlItems:
    return kind.build("p", rows(*fields), Prompting(TextTokenizer()), None)


def test_a_tokenizer_without_special_tokens_is_refused() -> None:
    with pytest.raises(UserError, match="neither a bos_token nor an eos_token"):
        Perplexity().build("p", rows({"text": "a"}), Prompting(WordTokenizer()), None)


class TransformersEngine:
    """Answers requests from the full distributions of a model, one forward pass each."""

    def __init__(self, folder: str, most: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self._most = most
        self._torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(ROOT / folder, dtype=torch.float32)

    def logs(self, tokens: Sequence[int]) -> Any:
        """Log-probabilities after every token, shape (tokens, vocabulary)."""
        with self._torch.no_grad():
            return self.model(self._torch.tensor([list(tokens)])).logits[0].log_softmax(-1)

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        answers = []
        for request in requests:
            (after,) = request.continuations
            logs = self.logs((*request.context, *after))
            start = len(request.context) - 1
            answers.append([sum(float(logs[start + i, token]) for i, token in enumerate(after))])
        return answers

    def next_tokens(self, requests: Sequence[NextToken]) -> list[dict[int, float]]:
        best = [self.logs(request.context)[-1].topk(self._most) for request in requests]
        return [dict(zip(top.indices.tolist(), top.values.tolist(), strict=True)) for top in best]


def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(ROOT / "base")


def test_perplexity_is_that_of_transformers_own_loss() -> None:
    import torch

    engine = TransformersEngine("base", 0)
    fields = rows(*[{"text": text} for text in TEXTS])
    encode = tokenizer()
    items = Perplexity().build("p", fields, Prompting(encode), 128)
    statistics = items.statistics(engine.loglikelihoods(items.requests), [])
    losses, counts = [], []
    for text in TEXTS:
        tokens = torch.tensor([encode(text).input_ids])
        with torch.no_grad():
            losses.append(float(engine.model(tokens, labels=tokens).loss))
        counts.append(tokens.shape[1] - 1)
    assert METRICS["perplexity"].score(statistics) == pytest.approx(
        math.exp(np.average(losses, weights=counts)), rel=1e-5
    )
    per_byte = BitsPerByte().build("p", fields, Prompting(encode), 128)
    assert per_byte.requests == items.requests
    bits = np.dot(losses, counts) / math.log(2) / sum(len(text) for text in TEXTS)
    assert METRICS["bits-per-byte"].score(
        per_byte.statistics(engine.loglikelihoods(items.requests), [])
    ) == pytest.approx(bits, rel=1e-5)


def test_divergence_is_that_of_full_distributions() -> None:
    import torch

    encode = tokenizer()
    items = Kl(positions=100).build("p", rows(*[{"text": text} for text in TEXTS]), Prompting(encode), 128)
    scores = []
    for most in (len(encode), 128, 5):
        base, aligned = TransformersEngine("base", most), TransformersEngine("rsf", most)
        ours, theirs = aligned.next_tokens(items.requests), base.next_tokens(items.requests)
        scores.append(METRICS["kl"].score(items.statistics(ours, theirs)))
        assert items.statistics(theirs, theirs)[:, 0].tolist() == [0, 0, 0]
    total, positions = 0.0, 0
    for text in TEXTS:
        tokens = encode(text).input_ids[:-1]
        ours, theirs = aligned.logs(tokens), base.logs(tokens)
        total += float(torch.nn.functional.kl_div(theirs, ours, log_target=True, reduction="sum"))
        positions += len(tokens)
    whole, cut, rough = scores
    assert whole == pytest.approx(total / positions, rel=1e-4)
    # Although the two are so far apart that a third of the likeliest words are not the same.
    assert whole * 0.95 < cut <= whole + 1e-5
    assert 0 < rough < cut
