"""Log-likelihoods of many continuations with nothing computed twice: the plan, and the worker's part in it.

All contexts and continuations of a batch form a tree of tokens; what the model says after one of its nodes is needed
once, whoever asks. `plan` covers the tree with branches, one prompt each, in an order in which a prompt has no more
tokens in common with any earlier one than with the one right before it. A branch is asked only for what follows later
positions than these, so whatever the prefix cache may take from earlier branches was scored there: no score is wanted
at a position that is cached. Every position is computed once, but for those that do not fill a block of the cache.

vLLM's own `prompt_logprobs` do without the prefix cache and compute logits for whole prompts, request by request.
`target_scorer` takes their place in the worker: logits for the wanted positions only, those of a step together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.engine.requests import Continuations

POSITIONS, TOKENS = "ama_ray_positions", "ama_ray_tokens"
"""Names in a request's `extra_args`: the tokens whose log-probabilities are wanted, each right after its position."""

UNSCORED = float("inf")
"""In the place of a log-probability whose position was not computed, since the prefix cache had it."""


class ScoringError(RuntimeError):
    """vLLM is not as `target_scorer` needs it, or did not answer what was asked; nothing it scored can be trusted."""


@dataclass(frozen=True)
class Branch:
    """One prompt of a plan.

    Attributes:
        tokens: The prompt.
        targets: Whose log-probabilities are wanted: (position, token) for that of the token right after the position,
            each with its place in the answer.
    """

    tokens: tuple[int, ...]
    targets: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def extra_args(self) -> dict[str, list[int]]:
        """What `target_scorer` reads of a request."""
        return {POSITIONS: [position for position, _ in self.targets], TOKENS: [token for _, token in self.targets]}


@dataclass(frozen=True)
class Plan:
    """What to ask of the engine, and where the answers belong.

    Attributes:
        branches: The prompts, in the order in which the engine must take them.
        places: By request and continuation: for each token, a number of a branch and its place in that branch's answer.
    """

    branches: list[Branch]
    places: list[list[list[tuple[int, int]]]]

    def sums(self, scores: Sequence[Sequence[float]]) -> list[list[float]]:
        """By request, the sum of log-probabilities of each continuation.

        Args:
            scores: By branch, its answer.
        """
        return [[sum(scores[branch][place] for branch, place in one) for one in several] for several in self.places]


def plan(requests: Sequence[Continuations]) -> Plan:
    """Covers the tree of the requests' tokens with branches.

    A continuation's last token is scored and never fed, so it is in no prompt.

    Raises:
        ValueError: A context is empty: nothing says how likely the first token of a text is.
    """
    if not all(request.context for request in requests):
        raise ValueError("a continuation is scored after a context of one token or more")
    prompts = [
        (request.context + continuation[:-1], number, index)
        for number, request in enumerate(requests)
        for index, continuation in enumerate(request.continuations)
        if continuation
    ]
    branches: list[Branch] = []
    places: list[list[list[tuple[int, int]]]] = [[[] for _ in request.continuations] for request in requests]
    owner: list[int] = []  # by position, the branch that scores what comes after it
    # From last to first, so that a prompt that is the beginning of others comes after them, and needs no branch.
    for prompt, number, index in sorted(prompts, reverse=True):
        shared = _shared(branches[-1].tokens, prompt) if branches else 0
        if shared < len(prompt):
            owner[shared:] = [len(branches)] * (len(prompt) - shared)
            branches.append(Branch(prompt))
        request = requests[number]
        for target in enumerate(request.continuations[index], len(request.context) - 1):
            branch = owner[target[0]]
            targets = branches[branch].targets
            places[number][index].append((branch, targets.setdefault(target, len(targets))))
    return Plan(branches, places)


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens two prompts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
