import itertools
from pathlib import Path
from typing import Any

import pytest

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import EngineSettings
from ama_ray.engine import deep_check
from ama_ray.engine.deep_check import Subject
from ama_ray.engine.verdict import PROMPTS, Outputs, Verdict, VerdictCache, compare
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import make_pair

FLOAT32 = EngineSettings(dtype="float32")


def outputs(shift: float = 0.0, other_token: int | None = None, after: float = 0.0) -> Outputs:
    """Answers of eight tokens; in one of them another token, and what comes after it shifted."""
    result = [[(token, -1.0 + shift) for token in range(8)] for _ in range(PROMPTS)]
    if other_token is not None:
        result[3][5:] = [(other_token, -1.0), (6, -1.0 + after), (7, -1.0 + after)]
    return result


def test_answers_are_compared_up_to_the_first_token_that_differs() -> None:
    assert compare(outputs(), outputs()) == (PROMPTS, 0)
    equal, largest = compare(outputs(), outputs(shift=5e-5))
    assert equal == PROMPTS
    assert largest == pytest.approx(5e-5)
    assert compare(outputs(), outputs(other_token=99, after=3.0)) == (PROMPTS - 1, 0)
    # The token that differs counts: one engine gives its likeliest more than the other gives any.
    shifted = outputs(other_token=99)
    shifted[3][5] = (99, -1.5)
    assert compare(outputs(), shifted) == (PROMPTS - 1, 0.5)
    assert compare(outputs(), outputs(shift=float("nan"))) == (PROMPTS, float("inf"))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 28, 64])
def test_no_two_of_the_checked_ratios_are_the_same(count: int) -> None:
    first, second = deep_check.check_ratios([str(number) for number in range(count)])
    assert len({*first.values(), *second.values()}) == 2 * count
    assert all(0 < ratio < 1 for ratio in (*first.values(), *second.values()))
    # An element whose endpoints are a bit apart shows on which side of a half its ratio is, and no more.
    assert all((first[group] > 0.5) != (second[group] > 0.5) for group in first)
    assert all((one > 0.5) != (next_one > 0.5) for one, next_one in itertools.pairwise(first.values()))


def test_prompts_are_texts_of_the_tokenizer_and_random_tokens(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path)
    prompts = deep_check.check_prompts(base, 300)
    assert len(prompts) == PROMPTS
    assert all(2 <= len(prompt) <= deep_check.PROMPT_TOKENS for prompt in prompts)
    assert all(0 <= token < 300 for prompt in prompts for token in prompt)
    # This tokenizer knows no word of the texts.
    assert {token for prompt in prompts[: PROMPTS // 2] for token in prompt} <= {*range(300)}
    assert len({token for prompt in prompts[PROMPTS // 2 :] for token in prompt}) > 100
    assert prompts == deep_check.check_prompts(base, 300)


def test_a_refusal_names_architecture_precision_and_what_was_seen(tmp_path: Path) -> None:
    pair = Pair.open(*map(str, make_pair(tmp_path)))
    seen = Verdict(12, 15, 16, 0.5).with_trouble("after a swap it answers as it likes")
    assert not seen.passed
    sentence = str(deep_check.refusal(seen, pair, FLOAT32))
    for words in ("LlamaForCausalLM", "float32", "15 of 16", "0.5", "as it likes", str(pair.aligned.folder)):
        assert words in sentence


def test_a_verdict_is_known_again_for_the_same_shape_and_layout_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    verdict = Verdict(40, 32, 32, 0.0)
    layout = {"device": "one", "kernels": "some", "parallel": "tensor 1, pipeline 1", "dtype": "torch.float32"}

    def cache(
        folder: str = "a",
        settings: EngineSettings = FLOAT32,
        space: str = "per-layer",
        layout: dict[str, str] = layout,
        **shape: Any,
    ) -> VerdictCache:
        pair = Pair.open(*map(str, make_pair(tmp_path / folder, **shape)))
        subject = Subject.of(pair, SearchSpace.load(space).resolve(pair.names), settings)
        return VerdictCache("deep-check", subject.key | {"layout": [layout]})

    assert cache().read() is None
    cache().write(verdict)
    known = cache("other-weights", seed=5).read()
    assert known is not None
    assert (known.passed, known.equal, known.tensors, known.cached) == (True, 32, 40, True)
    assert cache(settings=EngineSettings(dtype="bfloat16")).read() is None
    assert cache(settings=EngineSettings(dtype="float32", enforce_eager=False)).read() is None
    assert cache(space="attention-mlp").read() is None
    assert cache("deeper", layers=5).read() is None
    for part in layout:
        assert cache(layout=layout | {part: "another"}).read() is None
    failed = cache("failed", layers=3)
    failed.write(verdict.with_trouble("no"))
    assert failed.read() is None
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text("{")
    assert cache().read() is None


@pytest.mark.parametrize(
    ("heads", "is_whole"),
    [([0, 0, 1, 1], True), ([0, 1, 0, 1], True), ([0, 0, 0, 0], False), ([0, 0, 0, None], False)],
    ids=["twice", "in turns", "one of them only", "one of them not even everywhere"],
)
def test_a_head_on_several_gpus_does_not_make_up_for_one_that_is_on_none(
    heads: list[int | None], is_whole: bool
) -> None:
    """Two heads of six rows on four GPUs: sums of elements alone would not tell."""
    rows = {0: [3 * 5, 3 * 5, 0, 0], 1: [0, 0, 3 * 5, 3 * 5], None: [0, 0, 0, 0]}
    held = [rows[head] for head in heads]
    assert deep_check._is_whole((12, 5), held) == is_whole
    assert sum(map(sum, held)) >= 12 * 5 or None in heads


def test_a_tensor_that_gpus_share_is_whole_when_they_hold_it_together() -> None:
    assert deep_check._is_whole((4, 6), [[6, 6, 0, 0], [0, 0, 6, 6], [0] * 4, [0] * 4])
    assert deep_check._is_whole((4, 6), [[3, 3, 3, 3], [3, 3, 3, 3], [0] * 4, [0] * 4])  # along its columns
    assert not deep_check._is_whole((4, 6), [[3, 3, 3, 3], [3, 3, 3, 2], [0] * 4, [0] * 4])
    assert deep_check._is_whole((), [[1, 0], [1, 0]])
    assert not deep_check._is_whole((3,), [[2, 0], [0, 0]])


def test_where_nothing_can_be_kept_every_run_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("no folder")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "mine"))
    cache = VerdictCache("deep-check", {})
    cache.write(Verdict(40, 32, 32, 0.0))
    assert cache.read() is None
