"""What an engine answers is what transformers computes, whatever was asked of it before, and however it is batched."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.data.thinking import Thinking
from ama_ray.engine.prefix_tree import ScoringError
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import edit_weights, make_pair
from tests.support import live_engine
from tests.support.scoring import (
    ALL,
    BLOCK,
    END,
    EVERYTHING,
    PROMPTS,
    SEVERAL,
    SINGLE,
    SPACE,
    TOLERANCE,
    TREE,
    Live,
    changed,
    expected,
    furthest,
    in_small_steps,
    vllms_own,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scoring")
    for path in make_pair(folder):
        # So that greedy replies do end.
        edit_weights(path, lambda tensors: tensors["lm_head.weight"][END].mul_(3))
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Live]:
    engine = Live(folder)
    yield engine
    engine.process.close()


@pytest.fixture(scope="module")
def references(folder: Path, engine: Live) -> dict[str, Any]:
    """Base and the merge in transformers, which a process must not load beside vllm."""
    assert "vllm" not in sys.modules
    pair = Pair.open(str(folder / "base"), str(folder / "aligned"))
    ratio_of = SearchSpace.load(SPACE).resolve(pair.names).shares_of(engine.merge)
    merging.export(pair, ratio_of, folder / "merge")
    return {
        name: transformers.AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float32).eval()
        for name in ("base", "merge")
    }


@pytest.mark.parametrize("weights", ["base", "merge"])
@pytest.mark.parametrize("requests", [SINGLE, SEVERAL, ALL], ids=["single-token", "several-tokens", "both"])
def test_loglikelihoods_equal_transformers(
    engine: Live, references: dict[str, Any], weights: str, requests: list[Continuations]
) -> None:
    engine.swap(engine.base if weights == "base" else engine.merge)
    theirs = expected(references[weights], requests)
    cold, warm = engine.loglikelihoods(requests), engine.loglikelihoods(requests)
    print(f"furthest from transformers: {furthest(cold, theirs):.1g} cold, {furthest(warm, theirs):.1g} warm")
    assert furthest(cold, theirs) <= TOLERANCE
    assert furthest(warm, theirs) <= TOLERANCE


@pytest.mark.parametrize("case", TREE)
def test_shared_tokens_do_not_change_a_loglikelihood(engine: Live, references: dict[str, Any], case: str) -> None:
    requests = TREE[case]
    for weights, ratios in ("base", engine.base), ("merge", engine.merge):
        engine.swap(ratios)
        theirs = expected(references[weights], requests)
        cold, warm = engine.loglikelihoods(requests), engine.loglikelihoods(requests)
        assert warm == cold
        assert not requests or furthest(cold, theirs) <= TOLERANCE


def test_everything_in_one_batch_and_backwards(engine: Live, references: dict[str, Any]) -> None:
    engine.swap(engine.merge)
    theirs = expected(references["merge"], EVERYTHING)
    assert furthest(engine.loglikelihoods(EVERYTHING), theirs) <= TOLERANCE
    assert furthest(engine.loglikelihoods(EVERYTHING[::-1])[::-1], theirs) <= TOLERANCE


@pytest.mark.parametrize("most", [7, BLOCK, 50])
def test_prompts_may_be_split_between_steps(engine: Live, references: dict[str, Any], most: int) -> None:
    engine.swap(engine.merge)
    theirs = expected(references["merge"], EVERYTHING)
    assert furthest(engine.process.run(in_small_steps, EVERYTHING, most), theirs) <= TOLERANCE


def with_a_stale_cache(requests: Sequence[Continuations]) -> tuple[list[list[float]], int]:
    """Scores after a first time, without the reset in between; and how many prompts were asked without the cache."""
    engine = live_engine._engines[0][0]
    engine.loglikelihoods(requests)
    run = engine._run
    again: list[Any] = []

    def counted(prompts: Any, params: list[dict[str, Any]], finished: Any) -> Any:
        again.extend(fields for fields in params if fields.get("skip_reading_prefix_cache"))
        return run(prompts, params, finished)

    with changed(engine, reset_cache=lambda: None, _run=counted):
        return engine.loglikelihoods(requests), len(again)


def test_what_the_cache_hides_is_asked_again(engine: Live, references: dict[str, Any]) -> None:
    engine.swap(engine.merge)
    answers, again = engine.process.run(with_a_stale_cache, EVERYTHING)
    assert again > 10
    assert furthest(answers, expected(references["merge"], EVERYTHING)) <= TOLERANCE


def test_a_cache_of_a_few_blocks(folder: Path, references: dict[str, Any]) -> None:
    # A block holds 16 KiB here, and the longest prompt takes eight.
    small = Live(folder, kv_cache_gib=10 / 2**16)
    try:
        small.swap(small.merge)
        theirs = expected(references["merge"], EVERYTHING)
        assert furthest(small.loglikelihoods(EVERYTHING), theirs) <= TOLERANCE
        assert furthest(small.process.run(in_small_steps, EVERYTHING, 50), theirs) <= TOLERANCE
    finally:
        small.process.close()


def without_scorer(requests: Sequence[Continuations]) -> list[list[float]]:
    engine = live_engine._engines[0][0]
    run = engine._run

    def without(prompts: Any, params: list[dict[str, Any]], finished: Any) -> Any:
        return run(prompts, [fields | {"extra_args": None} for fields in params], finished)

    with changed(engine, _run=without):
        return engine.loglikelihoods(requests)


def test_answers_of_vllms_own_are_refused(engine: Live) -> None:
    with pytest.raises(ScoringError, match="not for the tokens"):
        engine.process.run(without_scorer, TREE["long contexts"])


def test_what_others_ask_of_their_prompts_vllm_answers_itself(engine: Live, references: dict[str, Any]) -> None:
    """As clients of a server do; in the same batch as ours."""
    engine.swap(engine.merge)
    whole = [Continuations(prompt[:1], (prompt[1:],)) for prompt in PROMPTS]
    own, ours = engine.process.run(vllms_own, PROMPTS, EVERYTHING)
    assert furthest(own, expected(references["merge"], whole)) <= TOLERANCE
    assert furthest(ours, expected(references["merge"], EVERYTHING)) <= TOLERANCE


def test_a_swap_empties_the_prefix_cache(engine: Live) -> None:
    contexts = [request.context for request in ALL]
    engine.swap(engine.base)
    before = engine.loglikelihoods(ALL)
    warm = engine.process.run(live_engine.cached_tokens, contexts)
    assert [cached > 0 for cached in warm] == [len(context) > BLOCK for context in contexts]
    assert sum(cached > 0 for cached in warm) > len(contexts) / 3
    engine.swap(engine.merge)
    assert not any(engine.process.run(live_engine.cached_tokens, contexts))
    after = engine.loglikelihoods(ALL)
    # Every one of them, not just most: none may be a leftover.
    assert all(abs(a - b) > TOLERANCE for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))
    engine.swap(engine.base)
    assert furthest(engine.loglikelihoods(ALL), before) <= TOLERANCE


@pytest.mark.parametrize("weights", ["base", "merge"])
def test_greedy_replies_equal_transformers(
    engine: Live, references: dict[str, Any], folder: Path, weights: str
) -> None:
    most = 24
    engine.swap(engine.base if weights == "base" else engine.merge)
    replies = engine.generate([Generation(prompt, most) for prompt in PROMPTS])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / weights)
    ended = 0
    for prompt, (reply,) in zip(PROMPTS, replies, strict=True):
        written = references[weights].generate(torch.tensor([prompt]), max_new_tokens=most, do_sample=False)[0]
        ended += int(written[-1]) == END
        assert reply.text.strip() == tokenizer.decode(written[len(prompt) :], skip_special_tokens=True).strip()
        assert "<" not in reply.text
        assert (reply.tokens, reply.finish) == (len(written) - len(prompt), "end" if written[-1] == END else "length")
    assert 0 < ended < len(PROMPTS)


def sampled(seed: int, n: int = 1, stop: tuple[str, ...] = ()) -> list[Generation]:
    return [Generation(prompt, 16, temperature=1.0, n=n, seed=seed + i, stop=stop) for i, prompt in enumerate(PROMPTS)]


def test_a_seed_repeats_its_replies(engine: Live) -> None:
    engine.swap(engine.merge)
    first = engine.generate(sampled(seed=0))
    assert engine.generate(sampled(seed=0)) == first
    # Nor does it matter what else is in the batch.
    assert engine.generate(sampled(seed=0)[::-1]) == first[::-1]
    assert engine.generate(sampled(seed=0)[:1]) == first[:1]
    other = engine.generate(sampled(seed=1000))
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_n_replies_differ_and_repeat(engine: Live) -> None:
    engine.swap(engine.merge)
    replies = engine.generate(sampled(seed=0, n=4))
    assert all(len(set(row)) == 4 for row in replies)
    assert engine.generate(sampled(seed=0, n=4)) == replies


def test_replies_end_at_the_end_token_without_special_tokens(engine: Live) -> None:
    engine.swap(engine.merge)
    replies = [reply.text for row in engine.generate(sampled(seed=0, n=8)) for reply in row]
    assert 0 < sum(len(reply.split()) < 12 for reply in replies) < len(replies)
    assert not any("<" in reply for reply in replies)


def test_a_stop_string_ends_a_reply_and_is_not_part_of_it(engine: Live) -> None:
    engine.swap(engine.merge)
    whole = [row[0].text for row in engine.generate(sampled(seed=0))]
    stops = tuple(max(whole, key=len).split()[i] + " " for i in (3, 5))
    ended = [row[0] for row in engine.generate(sampled(seed=0, stop=stops))]
    stopped = [reply.text for reply in ended]
    cut = [reply[: min(i for i in (*(reply.find(s) for s in stops), len(reply)) if i >= 0)] for reply in whole]
    assert stopped == cut
    assert [reply.finish == "stop" for reply in ended] == [a != b for a, b in zip(cut, whole, strict=True)]
    assert stopped != whole


def test_a_stop_string_inside_the_thinking_does_nothing(engine: Live) -> None:
    engine.swap(engine.merge)
    whole = engine.generate(sampled(seed=0))
    place = max(range(len(whole)), key=lambda i: len(whole[i][0].text))
    text = whole[place][0].text
    words = text.split()
    (request,) = sampled(seed=0, stop=(words[4],))[place : place + 1]
    # What this reply thinks ends at one of its words; one before it would stop it.
    told = Thinking(words[6], words[0])
    before, _, after = text.partition(words[6])
    assert words[4] in before
    for thinking in (told, replace(told, always=True)):
        ((reply,),) = engine.generate([replace(request, thinking=thinking)])
        assert (reply.thinking, reply.text) == (before.replace(words[0], "", 1), after.partition(words[4])[0])
    ((reply,),) = engine.generate([replace(request, thinking=Thinking("nowhere", words[0]))])
    assert (reply.text, reply.thinking, reply.finish, reply.cut_off) == (
        "",
        text.replace(words[0], "", 1),
        whole[place][0].finish,
        True,
    )


def test_all_that_a_trial_asks_goes_in_one_batch(engine: Live, references: dict[str, Any]) -> None:
    engine.swap(engine.merge)
    replies = [Generation(prompt, 24) for prompt in PROMPTS]
    steps = [NextToken(prompt) for prompt in PROMPTS]
    answers = engine.answer([*EVERYTHING, *replies, *SINGLE, *steps])
    theirs = expected(references["merge"], [*EVERYTHING, *SINGLE])
    count = len(EVERYTHING)
    assert furthest(answers[:count] + answers[count + len(replies) : -len(steps)], theirs) <= TOLERANCE
    assert answers[count : count + len(replies)] == engine.generate(replies)
    likeliest = answers[-len(steps) :]
    asked = [Continuations(p, tuple((token,) for token in step)) for p, step in zip(PROMPTS, likeliest, strict=True)]
    assert furthest([list(step.values()) for step in likeliest], expected(references["merge"], asked)) <= TOLERANCE
