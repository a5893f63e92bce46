"""What instances ask is asked once, and its answers come back as the responses that the LM interface promises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import tokenizers
import transformers
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.probes.lm_eval.questions import GeneratedReply, Known, Likelihood, Rolling, requests_of
from tests.support.replies import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.probes.lm_eval.questions import Question

pytest.importorskip("lm_eval")

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)
PAIRS = st.tuples(TOKENS, TOKENS)
LIKELIHOODS = st.builds(Likelihood, TOKENS, TOKENS, st.booleans())
ROLLING = st.builds(Rolling, st.lists(PAIRS, max_size=3).map(tuple))
REPLIES = st.builds(
    GeneratedReply, st.builds(Generation, TOKENS, st.integers(1, 3), stop=st.just(("b", "d"))), st.booleans()
)


def scored(context: tuple[int, ...], continuation: tuple[int, ...]) -> float:
    return -float(sum((i + 1) * token for i, token in enumerate(context + continuation)))


def likeliest(context: tuple[int, ...]) -> int:
    return sum(context) % 4


@given(st.lists(st.one_of(LIKELIHOODS, ROLLING, REPLIES), max_size=8))
def test_what_is_shared_is_asked_once_and_comes_back_to_every_question(questions: list[Question]) -> None:
    requests = requests_of(questions)
    answers: list[Any] = []
    for request in requests:
        match request:
            case Continuations(context, continuations):
                assert len(set(continuations)) == len(continuations)
                answers.append([scored(context, continuation) for continuation in continuations])
            case NextToken(context):
                answers.append({token: float(token == likeliest(context)) for token in range(4)})
            case Generation(prompt, most):
                answers += said([[f" {prompt}{most}d b c"]])
    contexts = [request.context for request in requests if isinstance(request, Continuations)]
    assert len(set(contexts)) == len(contexts)
    known = Known.of(requests, answers)
    for question in questions:
        match question:
            case Likelihood(before, after, greedy):
                chain = [likeliest(before + after[:i]) for i in range(len(after))]
                assert question.response(known) == (scored(before, after), greedy and chain == list(after))
            case Rolling(windows):
                assert question.response(known) == sum(scored(*window) for window in windows)
            case GeneratedReply(request, drops_space):
                assert question.response(known) == f"{'' if drops_space else ' '}{request.prompt}{request.max_tokens}"


@pytest.mark.parametrize("kind", ["byte-level", "metaspace", "words"])
def test_a_reply_is_what_transformers_decodes_by_itself(kind: str) -> None:
    from ama_ray.probes.lm_eval.engine_lm import EngineLM

    alphabet = sorted({*tokenizers.pre_tokenizers.ByteLevel.alphabet(), "▁"})
    letters = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(["<s>", *alphabet])}, []))
    if kind == "byte-level":
        letters.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        letters.decoder = tokenizers.decoders.ByteLevel()
    elif kind == "metaspace":
        letters.pre_tokenizer, letters.decoder = tokenizers.pre_tokenizers.Metaspace(), tokenizers.decoders.Metaspace()
    else:
        words = {"<s>": 0, "a": 1, "b": 2, "c": 3}
        letters = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<s>"))
        letters.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    ours = transformers.PreTrainedTokenizerFast(tokenizer_object=letters, bos_token="<s>")
    prompt, whole = ours.encode("a", add_special_tokens=False), ours.encode("a b c", add_special_tokens=False)

    def asked(questions: Sequence[Question]) -> list[Any]:
        return list(questions)

    (reply,) = EngineLM(ours, asked).generate_until([SimpleNamespace(args=("a", {"until": ["\n"]}))])
    assert isinstance(reply, GeneratedReply)
    # vLLM writes what the reply adds to the prompt's text.
    known = Known({}, {}, {reply.request: ours.decode(whole)[len(ours.decode(prompt)) :]})
    assert reply.response(known) == ours.decode(whole[len(prompt) :])
