"""How vLLM is asked each sort of request, and how its answers are read. Imports no vllm."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ama_ray.engine.prefix_tree import UNSCORED, ScoringError
from ama_ray.engine.replies import ended_in_thinking, read
from ama_ray.engine.requests import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.engine.prefix_tree import Branch
    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Continuations, Generation, Request
    from ama_ray.engine.verdict import Outputs

MAX_CANDIDATES = 128
"""Most next tokens whose log-probabilities one request gives: vLLM's limit on `logprob_token_ids`."""

SamplingFields = dict[str, Any]
"""Fields of vLLM's `SamplingParams`, plain values all of them."""

Finished: TypeAlias = Callable[[int, Answer], None]
"""Called with the number of a prompt in its batch, and its answer, as soon as that is there."""


def ignored(number: int, answer: Answer) -> None:
    """A `Finished` that does nothing."""


@dataclass(frozen=True)
class PromptBatch:
    """Prompts for vLLM, in token ids, each with how it is sampled."""

    prompts: list[list[int]] = field(default_factory=list)
    params: list[SamplingFields] = field(default_factory=list)

    def __add__(self, other: PromptBatch) -> PromptBatch:
        return PromptBatch(self.prompts + other.prompts, self.params + other.params)


_Result = TypeVar("_Result")
Asking: TypeAlias = Generator[PromptBatch, list[Answer], _Result]
"""It yields what it asks, is sent the answers, and returns what they come to; what the first batch has left open, it
asks in a second one."""


class Awaited:
    """Replies that somebody waits for, while the engine goes on with the rest of a batch.

    Attributes:
        replies: Those that have been read, by the number of their prompt in the batch.
    """

    def __init__(
        self,
        places: Mapping[int, int],
        requests: Sequence[Request],
        then: Callable[[dict[int, list[Reply]]], None],
    ) -> None:
        """Begins to wait.

        Args:
            places: Of the requests for them among all requests, by the number of their prompt in the batch.
            requests: All of them.
            then: Called once with the replies by place.
        """
        self._places = places
        self._requests = requests
        self._then = then
        self._missing = set(places)
        self.replies: dict[int, list[Reply]] = {}
        self._told = False

    def __call__(self, number: int, answer: Answer) -> None:
        """Takes in an answer, and passes the replies on with the last of them that is waited for."""
        if number not in self._missing:
            return
        request: Any = self._requests[self._places[number]]
        self.replies[number] = read(request, answer)
        self._missing.discard(number)
        # What vLLM ended too early is asked again.
        if not self._missing and not any(map(ended_in_thinking, self.replies.values())):
            self._tell({self._places[each]: replies for each, replies in self.replies.items()})

    def end(self, answers: Mapping[int, Any]) -> None:
        """Passes the replies on where that has not been done."""
        if not self._told:
            self._tell({place: answers[place] for place in self._places.values()})

    def _tell(self, replies: dict[int, list[Reply]]) -> None:
        self._told = True
        self._then(replies)


def sampled(request: Generation, stops: bool) -> SamplingFields:
    """A request for replies, with its stop strings or without."""
    return {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "n": request.n,
        "seed": request.seed if request.temperature > 0 else None,
        "stop": list(request.stop) if stops else [],
        "stop_token_ids": [*request.ends, *request.stop_token_ids],
        "top_p": request.top_p,
        "top_k": request.top_k,
        "min_p": request.min_p,
        "repetition_penalty": request.repetition_penalty,
        "skip_special_tokens": not (request.thinking and request.thinking.special),
    }


def replies_to(
    requests: Sequence[Generation], stops: Sequence[bool], known: Mapping[int, list[Reply]] = MappingProxyType({})
) -> Asking[list[list[Reply]]]:
    """Asks for replies, with the stop strings of each request or without.

    Args:
        requests: What is asked.
        stops: Whether the stop strings of each are told to vLLM.
        known: What has been read of the answers by the time that all are there, by the place of the request.
    """
    params = [sampled(*each) for each in zip(requests, stops, strict=True)]
    answers = yield PromptBatch([list(request.prompt) for request in requests], params)
    return [
        known[place] if place in known else read(request, answer)
        for place, (request, answer) in enumerate(zip(requests, answers, strict=True))
    ]


def scored(**fields: Any) -> SamplingFields:
    """A request for log-probabilities rather than text: greedy, one token unless said otherwise."""
    return {"max_tokens": 1, "temperature": 0, "flat_logprobs": True, "detokenize": False} | fields


def greedy(max_tokens: int) -> SamplingFields:
    """A request for greedy tokens with their log-probabilities, past the end token."""
    return scored(max_tokens=max_tokens, logprobs=0, ignore_eos=True)


def greedy_answers(answers: Sequence[Answer]) -> Outputs:
    """What was asked for by `greedy`."""
    return [list(zip(*asked(answer.logprobs), strict=True)) for answer in answers]


def of_branches(branches: Sequence[Branch], *, read_cache: bool = True) -> PromptBatch:
    """Requests for the log-probabilities of the targets of branches."""
    return PromptBatch(
        [list(branch.tokens) for branch in branches],
        [
            scored(prompt_logprobs=0, skip_reading_prefix_cache=not read_cache, extra_args=branch.extra_args)
            for branch in branches
        ],
    )


def scores_of(branches: Sequence[Branch]) -> Asking[list[list[float]]]:
    """Asks for the log-probabilities of each branch's targets.

    Raises:
        ScoringError: vLLM did not answer what was asked.
    """
    answers = yield of_branches(branches)
    return (yield from completed(branches, answers))


def completed(branches: Sequence[Branch], answers: Sequence[Answer]) -> Asking[list[list[float]]]:
    """Reads the answers to `of_branches`, and asks again for what they lack; as `scores_of`."""
    scores = [_targets(*each) for each in zip(branches, answers, strict=True)]
    unscored = [number for number, logprobs in enumerate(scores) if UNSCORED in logprobs]
    if unscored:
        # A branch that vLLM put off half-way, to make room, or part of which it has read before, may find in the cache
        # what it has yet to score.
        left = [branches[number] for number in unscored]
        again = yield of_branches(left, read_cache=False)
        for number, branch, answer in zip(unscored, left, again, strict=True):
            scores[number] = _targets(branch, answer)
            if UNSCORED in scores[number]:
                raise ScoringError("vLLM left log-probabilities out, though it was not to use its cache")
    return scores


def _targets(branch: Branch, answer: Answer) -> list[float]:
    tokens, logprobs = asked(answer.prompt_logprobs)
    if tokens != [token for _, token in branch.targets]:
        raise ScoringError("vLLM's answer is not for the tokens that were asked; its log-likelihoods are wrong")
    return list(logprobs)


def is_single(request: Continuations) -> bool:
    """Whether the first generated token says it all: every continuation has one token."""
    return 0 < len(request.continuations) <= MAX_CANDIDATES and all(len(c) == 1 for c in request.continuations)


def of_singles(requests: Sequence[Continuations]) -> PromptBatch:
    """Requests for the log-probabilities of continuations of one token each."""
    candidates = [sorted({continuation[0] for continuation in request.continuations}) for request in requests]
    return PromptBatch(
        [list(request.context) for request in requests], [scored(logprob_token_ids=tokens) for tokens in candidates]
    )


def single_sums(requests: Sequence[Continuations], answers: Sequence[Answer]) -> list[list[float]]:
    """The log-probabilities of the continuations, from the answers to `of_singles`."""
    steps = [dict(zip(*asked(answer.logprobs), strict=True)) for answer in answers]
    return [
        [step[continuation[0]] for continuation in request.continuations]
        for request, step in zip(requests, steps, strict=True)
    ]


def asked(logprobs: Any) -> Any:
    """Log-probabilities that were asked for.

    Raises:
        ScoringError: vLLM gave none.
    """
    if logprobs is None:
        raise ScoringError("vLLM gave no log-probabilities where some were asked for")
    return logprobs
