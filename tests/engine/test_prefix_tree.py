"""The plan of log-likelihoods wants everything once, and nothing that an earlier prompt has computed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ama_ray.engine.prefix_tree import plan
from ama_ray.engine.requests import Continuations


def test_an_empty_context_is_refused() -> None:
    with pytest.raises(ValueError, match="context"):
        plan([Continuations((), ((4, 5),))])


texts = st.lists(st.integers(0, 1), max_size=6).map(tuple)
many = st.lists(st.builds(Continuations, texts.map(lambda text: (0, *text)), st.lists(texts, max_size=4).map(tuple)))


@settings(deadline=None)
@given(many)
def test_a_plan_wants_nothing_that_an_earlier_prompt_computed(requests: list[Continuations]) -> None:
    branches = plan(requests).branches
    for number, branch in enumerate(branches):
        common = [shared(branch.tokens, earlier.tokens) for earlier in branches[:number]]
        assert min(position for position, _ in branch.targets) >= max(common, default=0)
        assert max(position for position, _ in branch.targets) == len(branch.tokens) - 1
    wanted = [(branch.tokens[: position + 1], token) for branch in branches for position, token in branch.targets]
    assert len(wanted) == len(set(wanted))


@settings(deadline=None)
@given(many)
def test_a_plan_sums_what_was_asked(requests: list[Continuations]) -> None:
    def logprob(text: tuple[int, ...], token: int) -> float:
        return hash((text, token)) % 1000

    def total(context: tuple[int, ...], continuation: tuple[int, ...]) -> float:
        whole = context + continuation
        return sum(logprob(whole[:end], whole[end]) for end in range(len(context), len(whole)))

    planned = plan(requests)
    scores = [[logprob(b.tokens[: position + 1], token) for position, token in b.targets] for b in planned.branches]
    assert planned.sums(scores) == [[total(r.context, c) for c in r.continuations] for r in requests]


def shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return max(n for n in range(min(len(one), len(other)) + 1) if one[:n] == other[:n])
