"""`Evaluation`: everything a trial asks of its engine on one split, prepared once, and what it makes of the answers."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.config import CommandProbe
from ama_ray.engine.requests import Generation, check_length
from ama_ray.errors import all_of
from ama_ray.evaluation.commands import Commands, Outcome, PreparedCommand, written
from ama_ray.evaluation.texts import said
from ama_ray.probes import registry as probes
from ama_ray.processes.worker import end_workers
from ama_ray.rewards import registry as rewards
from ama_ray.rewards.base import ScorerError
from ama_ray.rewards.chat import as_text
from ama_ray.scores.objectives import replies_of
from ama_ray.scores.trial import PROMPTS, KeptReply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from ama_ray.config import Evaluated, RunConfig, Split
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.engine.engine import Engine
    from ama_ray.engine.requests import Request
    from ama_ray.probes.base import PreparedProbe
    from ama_ray.rewards.base import PreparedReward
    from ama_ray.scores.objectives import Items

SPLITS: tuple[Split, Split] = ("search", "report")

WHOLE: tuple[Evaluated, Evaluated] = ("trade", "report")
"""What has every item of a run, and so what base is asked."""


@dataclass(frozen=True)
class Answers:
    """What one model answered.

    Attributes:
        by_request: One answer per request of the evaluation.
        commands: What each command said of it, by name of the reward or probe.
    """

    by_request: tuple[Any, ...]
    commands: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Answers, scored item by item.

    Attributes:
        items: By name of a reward or probe; see `ama_ray.scores.objectives.Items`.
        tokens: Tokens that judges were sent and sent back, and verdicts that are `missing`.
        seconds: Wall seconds where the model was asked: `generate` (until the replies to the rewards' prompts were
            there), `score` (the rest).
        replies: The first replies to the first prompts of the first reward that has some, for people to read.
        written: What commands wrote, by name of their reward or probe.
        said: What was answered to every item, by name of the reward or probe, where its items have texts.
    """

    items: dict[str, NDArray[np.float64]]
    tokens: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    replies: tuple[KeptReply, ...] = ()
    written: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)


def joined(parts: Sequence[Items]) -> dict[str, NDArray[np.float64]]:
    """The items of several parts of a split, one part after the other."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in names}


def is_part(name: str) -> bool:
    """Whether an evaluation is on a part of what trials of the search see, by its name."""
    return name.startswith("part-")


@dataclass(frozen=True)
class Evaluation:
    """The rewards and the probes of a run on one split or part of it, read and tokenised: the same for every trial.

    Attributes:
        rewards: In the order of the run file.
        probes: In the order of the run file.
        requests: All that a model is asked; what several rewards or probes ask is asked once.
        places: By name of a reward or probe, where its requests are among `requests`.
        commands: The rewards and probes that are scored by commands, and have no requests of their own.
    """

    rewards: tuple[PreparedReward, ...]
    probes: tuple[PreparedProbe, ...]
    requests: tuple[Request, ...]
    places: Mapping[str, tuple[int, ...]]
    commands: Commands = field(default_factory=Commands)

    @classmethod
    def prepare(
        cls, config: RunConfig, tokenizer: Tokenizer, context_limit: int | None, ends: tuple[int, ...] = ()
    ) -> dict[str, Evaluation]:
        """Reads all prompts and items of a run.

        Args:
            config: The run file.
            tokenizer: The tokenizer of the pair.
            context_limit: Most tokens the model takes, or None where its configuration does not say.
            ends: The tokens that end a reply.

        Returns:
            The evaluations by their names (`Evaluated`), and on the parts (`part-0`, ..., in that order) of what a
            trial of the search sees, which it may be scored on one after another; no parts where a reward or probe has
            too few items.

        Raises:
            UserError: A file or a scorer is missing or malformed, or a prompt is too long for the model; a line for
                each reward and probe of which one is.
        """
        asked = [
            partial(rewards.prepare, each, tokenizer, config.seed, config.report) for each in config.replies_rewards
        ]
        probed = [
            partial(probes.prepare, probe, tokenizer, config.report.share, context_limit, config.seed)
            for probe in config.tax
            if not isinstance(probe, CommandProbe)
        ]
        run = [partial(PreparedCommand.prepare, settings) for settings in config.commands]
        steps: list[Callable[[], dict[str, Any]]] = [*asked, *probed, *run]
        everything = all_of(steps)
        end_workers()  # the trials have their own
        given = iter(everything)
        prepared_rewards, prepared, commands = (list(islice(given, len(each))) for each in (asked, probed, run))
        names = list(dict.fromkeys(name for each in everything for name in each))
        if not all("part-0" in each for each in everything):
            names = [name for name in names if not is_part(name)]
        return {
            name: cls._of(
                [each[name] for each in prepared_rewards if name in each],
                [each[name] for each in prepared if name in each],
                Commands(tuple(each[name] for each in commands if name in each), ends),
                context_limit,
            )
            for name in names
        }

    @classmethod
    def _of(
        cls,
        rewards: Sequence[PreparedReward],
        prepared: Sequence[PreparedProbe],
        commands: Commands,
        context_limit: int | None,
    ) -> Evaluation:
        asked = {r.settings.name: r.requests for r in rewards} | {probe.name: probe.requests for probe in prepared}
        for each in rewards:
            for row, generation in zip(each.rows, each.requests, strict=True):
                check_length(generation, context_limit, row.where)
        unique = {
            request: i
            for i, request in enumerate(dict.fromkeys(request for requests in asked.values() for request in requests))
        }
        places = {name: tuple(unique[request] for request in requests) for name, requests in asked.items()}
        ends = commands.ends
        requests = tuple(replace(each, ends=ends) if isinstance(each, Generation) else each for each in unique)
        return cls(tuple(rewards), tuple(prepared), requests, places, commands)

    @property
    def context_length(self) -> int:
        """Most tokens of context that any request takes."""
        return max((request.length for request in self.requests), default=0)

    def ask(self, engine: Engine) -> Answers:
        """Asks the weights that are live in the engine, in one large batch, and has commands ask them after it."""
        return Answers(tuple(engine.answer(self.requests)), self.commands.run(engine))

    def evaluate(self, engine: Engine, base: Callable[[], Answers]) -> Measured:
        """Asks the weights that are live in the engine, and scores the answers.

        Scorers work on the replies to the rewards' prompts while the engine goes on with the rest. Commands come after
        the batch, in which so the same requests meet in every trial.

        Args:
            engine: The engine that is asked.
            base: It gives the answers of the base model, and is called when the engine is done.

        Raises:
            ScorerError: A scorer failed on the replies, or a log-likelihood is NaN.
        """
        start = time.perf_counter()
        rewarded = {place for reward in self.rewards for place in self.places[reward.settings.name]}
        scoring: list[Future[Measured]] = []
        seconds: dict[str, float] = {}

        def score(replies: Mapping[int, Any]) -> None:
            seconds["generate"] = time.perf_counter() - start
            scoring.append(scorers.submit(self._measure_rewards, replies))

        with ThreadPoolExecutor(1) as scorers:
            by_request = engine.answer(self.requests, rewarded, score)
            answers = Answers(tuple(by_request), self.commands.run(engine))
            probes = self.measure_probes(answers, base())
            measured = scoring[0].result()
        seconds["score"] = time.perf_counter() - start - seconds["generate"]
        items = measured.items | probes | self._measure_replies(by_request)
        replies, wrote = self._replies(by_request), written(answers.commands)
        texts = said(self.rewards, self.probes, lambda name: self._of_part(name, by_request))
        return Measured(items, measured.tokens, seconds, replies, wrote, texts)

    def measure(self, answers: Answers, base: Answers) -> Measured:
        """Scores answers item by item.

        Args:
            answers: The answers of the model to measure.
            base: The answers of the base model.

        Raises:
            ScorerError: A scorer failed on the replies, or a log-likelihood is NaN.
        """
        rewards = self._measure_rewards(answers.by_request)
        items = rewards.items | self.measure_probes(answers, base) | self._measure_replies(answers.by_request)
        return Measured(items, rewards.tokens)

    def measure_probes(self, answers: Answers, base: Answers) -> dict[str, NDArray[np.float64]]:
        """The part of `measure` that needs no scorer: the items of the probes, and those of the commands.

        Raises:
            ScorerError: A log-likelihood is NaN, and so neither more nor less than another one; or see `Commands`.
        """
        items = self.commands.items(answers.commands, base.commands)
        for probe in self.probes:
            mine, theirs = (self.answers_to(probe.name, each) for each in (answers, base))
            if any(_has_nan(answer) for answer in (*mine, *theirs)):
                raise ScorerError(f"the model gave NaN for a log-likelihood of the probe {probe.name}")
            items[probe.name] = probe.statistics(mine, theirs)
        return items

    def answers_in(self, whole: Evaluation, answers: Answers) -> Answers:
        """Of the answers to a whole split, those to this part of it."""
        by_request = dict(zip(whole.requests, answers.by_request, strict=True))
        commands = {command.name: answers.commands[command.name] for command in self.commands.each}
        return Answers(tuple(by_request[request] for request in self.requests), commands)

    def answers_to(self, name: str, answers: Answers) -> list[Any]:
        """The answers to the requests of a reward or probe."""
        return self._of_part(name, answers.by_request)

    def _measure_rewards(self, answers: Mapping[int, Any] | Sequence[Any]) -> Measured:
        items: dict[str, NDArray[np.float64]] = {}
        tokens: dict[str, int] = {}
        for prepared in self.rewards:
            scored = prepared.score(self._of_part(prepared.settings.name, answers))
            items[prepared.settings.name] = scored.items
            took = scored.tokens | ({"missing": scored.missing} if scored.missing else {})
            tokens |= {kind: tokens.get(kind, 0) + count for kind, count in took.items()}
        return Measured(items, tokens)

    def _measure_replies(self, answers: Mapping[int, Any] | Sequence[Any]) -> dict[str, NDArray[np.float64]]:
        """What the replies were like, of every reward and probe that has some; see `Items`."""
        items = {}
        for name, places in self.places.items():
            replies = [answers[place] for place in places if isinstance(self.requests[place], Generation)]
            if replies:
                like = [[(reply.tokens, reply.cut_off) for reply in of_one] for of_one in replies]
                items[replies_of(name)] = np.array([np.mean(each, axis=0) for each in like])
        return items

    def _replies(self, answers: Sequence[Any]) -> tuple[KeptReply, ...]:
        if not self.rewards:
            return ()
        first, *_ = self.rewards
        field, replies = first.settings.prompts.field, self._of_part(first.settings.name, answers)
        shown = zip(first.rows[:PROMPTS], replies, strict=False)
        return tuple(KeptReply(as_text(row, field), reply.whole) for row, (reply, *_) in shown)

    def _of_part(self, name: str, answers: Mapping[int, Any] | Sequence[Any]) -> list[Any]:
        return [answers[place] for place in self.places[name]]


def _has_nan(answer: Any) -> bool:
    numbers = answer.values() if isinstance(answer, dict) else answer
    return any(isinstance(number, float) and math.isnan(number) for number in numbers)
