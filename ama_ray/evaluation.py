"""`Evaluation`: everything a trial asks of its engine, prepared once, and the objectives made of the answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ama_ray import probes
from ama_ray.errors import UserError
from ama_ray.reward import FunctionReward
from ama_ray.trial import ProbeResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.config import RunConfig
    from ama_ray.engine.engine import Engine
    from ama_ray.engine.requests import Continuations, Generation
    from ama_ray.tokens import Tokenizer


@dataclass(frozen=True)
class Answers:
    """What one model answered.

    Attributes:
        replies: Per reward prompt, its sampled replies.
        items: By probe name, the score of every item (0-1).
        seconds: Wall seconds: `generate` (replies and greedy answers), `score` (log-likelihoods).
    """

    replies: list[list[str]]
    items: dict[str, NDArray[np.float64]]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """The reward and the probes of a run, read, checked and tokenised: the same for every trial."""

    reward: FunctionReward
    probes: tuple[probes.PreparedProbe, ...]

    @classmethod
    def prepare(cls, config: RunConfig, tokenizer: Tokenizer, context_limit: int | None) -> Evaluation:
        """Reads all prompts and items of a run.

        Args:
            config: The run.
            tokenizer: Of the pair.
            context_limit: Most tokens the model takes, or None where its configuration does not say.

        Raises:
            UserError: A file or the scorer is missing or malformed, or a prompt is too long for the model.
        """
        reward = FunctionReward.read(config.reward, tokenizer, config.seed)
        evaluation = cls(reward, tuple(probes.prepare(probe, tokenizer) for probe in config.tax))
        sources: list[tuple[Any, Sequence[Generation | Continuations]]] = [
            (config.reward.prompts.file, reward.requests)
        ]
        sources += [(probe.settings.file, probe.requests) for probe in evaluation.probes]
        for file, requests in sources:
            for number, request in enumerate(requests, start=1):
                if context_limit is not None and request.length > context_limit:
                    raise UserError(
                        f"{file}, row {number}: prompt and reply need {request.length} tokens, and the model takes "
                        f"{context_limit}; shorten the prompt or lower max_tokens."
                    )
        return evaluation

    @property
    def context_length(self) -> int:
        """Most tokens of context that any request takes."""
        requests: list[Generation | Continuations] = [*self.reward.requests]
        for probe in self.probes:
            requests.extend(probe.requests)
        return max(request.length for request in requests)

    def ask(self, engine: Engine) -> Answers:
        """Asks the weights that are live in the engine: one batch of generation, one of log-likelihoods."""
        exact = [probe for probe in self.probes if isinstance(probe, probes.ExactItems)]
        choice = [probe for probe in self.probes if isinstance(probe, probes.ChoiceItems)]
        start = time.perf_counter()
        texts = iter(engine.generate([*self.reward.requests, *(r for probe in exact for r in probe.requests)]))
        replies = list(islice(texts, len(self.reward.requests)))
        items = {probe.settings.name: probe.item_scores(list(islice(texts, len(probe.requests)))) for probe in exact}
        generated = time.perf_counter()
        sums = iter(engine.loglikelihoods([r for probe in choice for r in probe.requests]) if choice else ())
        items |= {probe.settings.name: probe.item_scores(list(islice(sums, len(probe.requests)))) for probe in choice}
        seconds = {"generate": generated - start, "score": time.perf_counter() - generated}
        return Answers(replies, items, seconds)

    def objectives(self, answers: Answers, base: Answers) -> dict[str, Any]:
        """Reward and tax with their standard errors, and every probe, as the fields of a `Trial`.

        The reward's error clusters replies by prompt. The tax of an item is the base model's score minus this one's,
        so that errors are those of paired differences; probes are independent of each other.

        Raises:
            ScorerError: The user's scorer failed on the replies.
        """
        by_prompt = self.reward.scores(answers.replies).mean(axis=1)
        families = {probe.settings.family for probe in self.probes}
        tax, variance, results = 0.0, 0.0, {}
        for probe in self.probes:
            name, family = probe.settings.name, probe.settings.family
            paid = base.items[name] - answers.items[name]
            weight = 1 / len(families) / sum(other.settings.family == family for other in self.probes)
            tax += weight * float(paid.mean())
            variance += weight**2 * _standard_error(paid) ** 2
            results[name] = ProbeResult(float(answers.items[name].mean()), float(paid.mean()))
        return {
            "reward": float(by_prompt.mean()),
            "reward_se": _standard_error(by_prompt),
            "tax": tax,
            "tax_se": variance**0.5,
            "probes": results,
        }


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
