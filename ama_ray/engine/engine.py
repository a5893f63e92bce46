"""`Engine`: a vLLM engine whose weights can be swapped between trials, in this process or behind an address."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ama_ray.engine.prefix_tree import UNSCORED, ScoringError, plan
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.engine.worker.swap_extension import check_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.engine.prefix_tree import Branch
    from ama_ray.engine.requests import Answer, Request
    from ama_ray.engine.verdict import Outputs

MAX_CANDIDATES = 128
"""Most next tokens whose log-probabilities one request gives: vLLM's limit on `logprob_token_ids`."""
WARM_UP_TOLERANCE = {"float32": 0.05, "float16": 0.25, "bfloat16": 2.0}
"""Nats by which a log-probability may differ between vLLM's sampler and `TargetScorer`, by precision of the engine.

In 16 bits these are four roundings of a logit between 64 and 128: kernels for one token and for several round apart.
What the comparison is to find, scores of another row or of another token, is off by more with weights of any use.
"""

SamplingFields = dict[str, Any]
"""Fields of vLLM's `SamplingParams`, plain values all of them."""


class Engine(ABC):
    """One vLLM engine, started once, holding one merge at a time: what it is asked, and how vLLM is asked that."""

    @abstractmethod
    def _run(self, prompts: list[list[int]], params: list[SamplingFields]) -> list[Answer]:
        """Has vLLM answer prompts, all in one batch, in this order."""

    @abstractmethod
    def call_workers(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of the worker extension in every worker; returns what each of them returned."""

    @abstractmethod
    def _empty_cache(self) -> bool:
        """Has vLLM empty its prefix cache; returns whether it did."""

    @property
    @abstractmethod
    def _dtype(self) -> str:
        """The precision in which it computes."""

    @property
    @abstractmethod
    def _vocabulary_size(self) -> int:
        """Token ids that the model knows."""

    def _call(self, method: str, *args: Any) -> Any:
        return self.call_workers(method, *args)[0]

    def swap(self, ratios: Mapping[str, float]) -> None:
        """Swaps in the merge of these ratios (share of aligned by group), verified, with no stale cache behind it.

        Groups whose ratio is that of the last swap are left alone.

        Raises:
            SwapError: The weights or the cache are not as they must be; throw this engine away.
        """
        self._call("swap", dict(ratios))
        self.reset_cache()

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        """Asks for all that the requests want, in one large batch for each sort of request.

        Returns:
            One answer per request: of `generate` to a `Generation`, of `loglikelihoods` to a `Continuations`, of
            `next_tokens` to a `NextToken`.
        """
        answers: dict[int, Any] = {}
        methods: tuple[tuple[type, Any], ...] = (
            (Generation, self.generate),
            (Continuations, self.loglikelihoods),
            (NextToken, self.next_tokens),
        )
        for sort, method in methods:
            if places := [place for place, request in enumerate(requests) if isinstance(request, sort)]:
                answers |= zip(places, method([requests[place] for place in places]), strict=True)
        return [answers[place] for place in range(len(requests))]

    def reset_cache(self) -> None:
        """Empties the prefix cache.

        Raises:
            SwapError: vLLM did not.
        """
        check_cache(self._empty_cache())

    def generate(self, requests: Sequence[Generation]) -> list[list[str]]:
        """Samples replies, `n` per request, in one batch."""
        answers = self._run(
            [list(request.prompt) for request in requests],
            [
                {
                    "max_tokens": request.max_tokens,
                    "temperature": request.temperature,
                    "n": request.n,
                    "seed": request.seed if request.temperature > 0 else None,
                    "stop": list(request.stop),
                    "stop_token_ids": list(request.ends),
                }
                for request in requests
            ],
        )
        return [answer.texts for answer in answers]

    def greedy_logprobs(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> Outputs:
        """Greedy tokens after each prompt with their log-probabilities, past the end token; for the deep check."""
        return greedy_answers(self._run([list(prompt) for prompt in prompts], [greedy(max_tokens)] * len(prompts)))

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        """Sums of log-probabilities of every continuation of every request.

        What continuations have in common, their context first of all, is computed once. Continuations of one token
        each, as letters and single words are, cost one generated token for all of them.
        """
        planned = plan([request for request in requests if not _is_single(request)])
        # The plan counts on a cache that holds nothing but what its own branches put there, hence also this order.
        self.reset_cache()
        sums = iter(planned.sums(self._scores(planned.branches)))
        single = iter(self._single_token_scores([request for request in requests if _is_single(request)]))
        return [next(single if _is_single(request) else sums) for request in requests]

    def next_tokens(self, requests: Sequence[NextToken]) -> list[dict[int, float]]:
        """Log-probabilities of the most likely next tokens at temperature 1, the likeliest first, in one batch.

        There are `MAX_CANDIDATES` of them, or as many as the vocabulary has where that is smaller.
        """
        params = _scored(logprobs=min(MAX_CANDIDATES, self._vocabulary_size))
        answers = self._run([list(request.context) for request in requests], [params] * len(requests))
        steps = [_asked(answer.logprobs) for answer in answers]
        # The generated token is in front, and comes again in its place.
        return [dict(zip(tokens[1:], logprobs[1:], strict=True)) for tokens, logprobs in steps]

    def _scores(self, branches: Sequence[Branch], *, read_cache: bool = True) -> list[list[float]]:
        """Log-probabilities of each branch's targets.

        Raises:
            ScoringError: vLLM did not answer what was asked.
        """
        answers = self._run(
            [list(branch.tokens) for branch in branches],
            [
                _scored(prompt_logprobs=0, skip_reading_prefix_cache=not read_cache, extra_args=branch.extra_args)
                for branch in branches
            ],
        )
        scores = []
        for branch, answer in zip(branches, answers, strict=True):
            tokens, logprobs = _asked(answer.prompt_logprobs)
            if tokens != [token for _, token in branch.targets]:
                raise ScoringError("vLLM's answer is not for the tokens that were asked; its log-likelihoods are wrong")
            scores.append(logprobs)
        unscored = [number for number, logprobs in enumerate(scores) if UNSCORED in logprobs]
        if unscored and not read_cache:
            raise ScoringError("vLLM left log-probabilities out, though it was not to use its cache")
        if unscored:
            # A branch that vLLM put off half-way, to make room, may find in the cache what it has yet to score.
            again = self._scores([branches[number] for number in unscored], read_cache=False)
            for number, logprobs in zip(unscored, again, strict=True):
                scores[number] = logprobs
        return scores

    def _single_token_scores(self, requests: Sequence[Continuations]) -> list[list[float]]:
        candidates = [sorted({continuation[0] for continuation in request.continuations}) for request in requests]
        answers = self._run(
            [list(request.context) for request in requests],
            [_scored(logprob_token_ids=tokens) for tokens in candidates],
        )
        steps = [dict(zip(*_asked(answer.logprobs), strict=True)) for answer in answers]
        return [
            [step[continuation[0]] for continuation in request.continuations]
            for request, step in zip(requests, steps, strict=True)
        ]

    def _warm_up(self) -> None:
        # The first request of each sort compiles for seconds, which would be charged to the first trial. vLLM takes a
        # prompt of one token for one that goes on from a state, which a recurrent layer does not have yet.
        self.generate([Generation((1, 1), max_tokens=2, temperature=1.0)])
        self.next_tokens([NextToken((1, 1))])
        self.loglikelihoods([Continuations((1, 1), ((1,),))])
        self._check_scores()

    def _check_scores(self) -> None:
        """Compares `TargetScorer` with vLLM's sampler on a greedy reply.

        Raises:
            ScoringError: They differ by more than the engine's precision may: vLLM's internals are not as they were.
        """
        context = (1, 2)
        (reply,) = self.greedy_logprobs([context], 2)
        planned = plan([Continuations(context, (tuple(token for token, _ in reply),))])
        (scores,) = self._scores(planned.branches)
        most = WARM_UP_TOLERANCE[self._dtype]
        if not all(abs(a - b) <= most for a, (_, b) in zip(scores, reply, strict=True)):
            raise ScoringError(f"tokens with log-probabilities {reply} when generated have {scores} when scored")


def _scored(**fields: Any) -> SamplingFields:
    """A request for log-probabilities rather than text: greedy, one token unless said otherwise."""
    return {"max_tokens": 1, "temperature": 0, "flat_logprobs": True, "detokenize": False} | fields


def greedy(max_tokens: int) -> SamplingFields:
    """A request for greedy tokens with their log-probabilities, past the end token."""
    return _scored(max_tokens=max_tokens, logprobs=0, ignore_eos=True)


def greedy_answers(answers: Sequence[Answer]) -> Outputs:
    """What was asked for by `greedy`."""
    return [list(zip(*_asked(answer.logprobs), strict=True)) for answer in answers]


def _asked(logprobs: Any) -> Any:
    """Log-probabilities that were asked for.

    Raises:
        ScoringError: vLLM gave none.
    """
    if logprobs is None:
        raise ScoringError("vLLM gave no log-probabilities where some were asked for")
    return logprobs


def _is_single(request: Continuations) -> bool:
    return 0 < len(request.continuations) <= MAX_CANDIDATES and all(len(c) == 1 for c in request.continuations)
