"""`Engine`: a vLLM engine whose weights can be swapped between trials, in this process or behind an address."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ama_ray.engine.asking import (
    MAX_CANDIDATES,
    Awaited,
    PromptBatch,
    asked,
    completed,
    greedy,
    greedy_answers,
    ignored,
    is_single,
    of_branches,
    of_singles,
    replies_to,
    scored,
    scores_of,
    single_sums,
)
from ama_ray.engine.lengths import Lengths
from ama_ray.engine.prefix_tree import ScoringError, plan
from ama_ray.engine.replies import ended_in_thinking
from ama_ray.engine.requests import Continuations, Generation, NextToken
from ama_ray.engine.worker.swap_extension import check_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ama_ray.engine.asking import Asking, Finished, SamplingFields
    from ama_ray.engine.openai_address import OpenAIAddress
    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Answer, Request
    from ama_ray.engine.verdict import Outputs

R = TypeVar("R")

WARM_UP_TOLERANCE = {"float32": 0.05, "float16": 0.25, "bfloat16": 2.0}
"""Nats by which a log-probability may differ between vLLM's sampler and `target_scorer`, by precision of the engine.

In 16 bits these are four roundings of a logit between 64 and 128: kernels for one token and for several round apart.
What the comparison is to find, scores of another row or of another token, is off by more with weights of any use.
"""


class Engine(ABC):
    """One vLLM engine, started once, holding one merge at a time: what it is asked, and how vLLM is asked that."""

    @cached_property
    def _lengths(self) -> Lengths:
        """What it knows of the lengths of replies, from trials before."""
        return Lengths()

    @abstractmethod
    def _run(
        self, prompts: list[list[int]], params: list[SamplingFields], finished: Finished = ignored
    ) -> list[Answer]:
        """Has vLLM answer prompts, all in one batch, in this order.

        An engine in this process tells `finished` of every answer as soon as it is there.
        """

    @abstractmethod
    def call_workers(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of the worker extension in every worker; returns what each of them returned."""

    @abstractmethod
    def _empty_cache(self) -> bool:
        """Has vLLM empty its prefix cache; returns whether it did."""

    @abstractmethod
    def serve(self, work: Callable[[OpenAIAddress], R], ends: Sequence[int]) -> R:
        """Has the live weights answer as OpenAI's API does while somebody works with them.

        Args:
            work: Called once, perhaps in another thread, with the address.
            ends: Tokens that end a reply, besides those that the engine's own checkpoint names.

        Returns:
            What `work` returns.
        """

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

    def answer(
        self,
        requests: Sequence[Request],
        first: Collection[int] = (),
        then: Callable[[dict[int, list[Reply]]], None] = lambda replies: None,
    ) -> list[Any]:
        """Asks for all that the requests want in one batch, so that the engine is full as long as it can be.

        The replies that are likely to be the longest come first: vLLM takes requests in their order, and a long reply
        that begins last goes on alone. Scores come after all replies, and take the places of those that have ended.

        Args:
            requests: Of any sort.
            first: The places of some requests for replies that somebody waits for.
            then: Called with the answers to these by place, as soon as the last of them is there.

        Returns:
            One answer per request: of `generate` to a `Generation`, of `loglikelihoods` to a `Continuations`, of
            `next_tokens` to a `NextToken`.
        """
        sorts = [
            [place for place, request in enumerate(requests) if isinstance(request, sort)]
            for sort in (Generation, Continuations, NextToken)
        ]
        sorts[0] = self._lengths.longest_first(requests, sorts[0])
        begun = Awaited({number: place for number, place in enumerate(sorts[0]) if place in first}, requests, then)
        wanted: list[list[Any]] = [[requests[place] for place in places] for places in sorts]
        generations, continuations, contexts = wanted
        # Replies are asked for first, so that their numbers in the batch are their places here.
        askings: list[Asking[Any]] = [
            self._replies(generations, begun.replies),
            self._sums(continuations),
            self._likeliest(contexts),
        ]
        found = self._together(askings, begun)
        answers = {
            place: answer
            for places, of in zip(sorts, found, strict=True)
            for place, answer in zip(places, of, strict=True)
        }
        for place in sorts[0]:
            self._lengths.note(requests[place], answers[place])
        begun.end(answers)
        return [answers[place] for place in range(len(requests))]

    def _together(self, askings: Sequence[Asking[Any]], finished: Finished) -> list[Any]:
        """Has vLLM answer what several sorts of requests ask, in one batch; what they ask after that, in another."""
        results: list[Any] = [None] * len(askings)
        answers: dict[int, Any] = dict.fromkeys(range(len(askings)))
        while answers:
            batches = {}
            for number, answer in answers.items():
                try:
                    batches[number] = askings[number].send(answer)
                except StopIteration as ended:
                    results[number] = ended.value
            prompts = [prompt for batch in batches.values() for prompt in batch.prompts]
            params = [fields for batch in batches.values() for fields in batch.params]
            given = iter(self._run(prompts, params, finished) if prompts else ())
            answers = {number: list(islice(given, len(batch.prompts))) for number, batch in batches.items()}
            finished = ignored
        return results

    def reset_cache(self) -> None:
        """Empties the prefix cache.

        Raises:
            SwapError: vLLM did not.
        """
        check_cache(self._empty_cache())

    def generate(self, requests: Sequence[Generation]) -> list[list[Reply]]:
        """Samples replies, `n` per request, in one batch."""
        (replies,) = self._together([self._replies(requests)], ignored)
        return list(replies)

    def _replies(
        self, requests: Sequence[Generation], known: Mapping[int, list[Reply]] = MappingProxyType({})
    ) -> Asking[list[list[Reply]]]:
        """Asks for replies; `known` as for `replies_to`.

        A stop string ends no reply that is still thinking, which vLLM cannot be told: where it stood in a reply's
        thinking, the request is asked again without, and its answers end at the stop string all the same.
        """
        stops = [not (request.thinking and request.thinking.always) for request in requests]
        replies = yield from replies_to(requests, stops, known)
        again = [place for place, of in enumerate(replies) if ended_in_thinking(of)]
        if again:
            whole = yield from replies_to([requests[place] for place in again], [False] * len(again))
            for place, of in zip(again, whole, strict=True):
                replies[place] = of
        return replies

    def greedy_logprobs(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> Outputs:
        """Greedy tokens after each prompt with their log-probabilities, past the end token; for the deep check."""
        return greedy_answers(self._run([list(prompt) for prompt in prompts], [greedy(max_tokens)] * len(prompts)))

    def loglikelihoods(self, requests: Sequence[Continuations]) -> list[list[float]]:
        """Sums of log-probabilities of every continuation of every request.

        What continuations have in common, their context first of all, is computed once. Continuations of one token
        each, as letters and single words are, cost one generated token for all of them.
        """
        (sums,) = self._together([self._sums(requests)], ignored)
        return list(sums)

    def _sums(self, requests: Sequence[Continuations]) -> Asking[list[list[float]]]:
        """Asks for log-likelihoods."""
        single = [request for request in requests if is_single(request)]
        planned = plan([request for request in requests if not is_single(request)])
        if planned.branches:
            # The plan counts on a cache that holds nothing but what its own branches put there, hence also this order.
            # Where a reply has put there what is to be scored, it is scored again.
            self.reset_cache()
        answers = yield of_branches(planned.branches) + of_singles(single)
        count = len(planned.branches)
        scores = yield from completed(planned.branches, answers[:count])
        sums, singles = iter(planned.sums(scores)), iter(single_sums(single, answers[count:]))
        return [next(singles if is_single(request) else sums) for request in requests]

    def next_tokens(self, requests: Sequence[NextToken]) -> list[dict[int, float]]:
        """Log-probabilities of the most likely next tokens at temperature 1, the likeliest first, in one batch.

        There are `MAX_CANDIDATES` of them, or as many as the vocabulary has where that is smaller.
        """
        (steps,) = self._together([self._likeliest(requests)], ignored)
        return list(steps)

    def _likeliest(self, requests: Sequence[NextToken]) -> Asking[list[dict[int, float]]]:
        """Asks for next tokens, after everything else.

        vLLM gives a request for the likeliest tokens none while one for chosen tokens (`of_singles`) is in the same
        step: `Sampler.forward` prefers these for the whole step.
        """
        yield PromptBatch()
        params = scored(logprobs=min(MAX_CANDIDATES, self._vocabulary_size))
        answers = yield PromptBatch([list(request.context) for request in requests], [params] * len(requests))
        steps = [asked(answer.logprobs) for answer in answers]
        # The generated token is in front, and comes again in its place.
        return [dict(zip(tokens[1:], logprobs[1:], strict=True)) for tokens, logprobs in steps]

    def _warm_up(self) -> None:
        # The first request of each sort compiles for seconds, which would be charged to the first trial. vLLM takes a
        # prompt of one token for one that goes on from a state, which a recurrent layer does not have yet.
        self.generate([Generation((1, 1), max_tokens=2, temperature=1.0)])
        self.next_tokens([NextToken((1, 1))])
        self.loglikelihoods([Continuations((1, 1), ((1,),))])
        self._check_scores()

    def _check_scores(self) -> None:
        """Compares `target_scorer` with vLLM's sampler on a greedy reply.

        Raises:
            ScoringError: They differ by more than the engine's precision may: vLLM's internals are not as they were.
        """
        context = (1, 2)
        (reply,) = self.greedy_logprobs([context], 2)
        planned = plan([Continuations(context, (tuple(token for token, _ in reply),))])
        ((scores,),) = self._together([scores_of(planned.branches)], ignored)
        most = WARM_UP_TOLERANCE[self._dtype]
        if not all(abs(a - b) <= most for a, (_, b) in zip(scores, reply, strict=True)):
            raise ScoringError(f"tokens with log-probabilities {reply} when generated have {scores} when scored")
