"""Asking a judge: a language model behind an OpenAI-compatible address."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ama_ray.environment import key_of
from ama_ray.errors import UserError, one_line
from ama_ray.rewards.base import ScorerError
from ama_ray.rewards.judge_dialect import Dialect, answer_of
from ama_ray.rewards.verdict import read_number
from ama_ray.rewards.verdict_cache import JudgeCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openai import AsyncOpenAI

    from ama_ray.config import Judge
    from ama_ray.data.rows import Row

CHECK_SECONDS = 10
"""Longest wait for a judge that is asked, before anything starts, whether it is there."""
MOST_MISSING = 0.1
"""Share of verdicts that may be missing: of those of few judges that work at all more are."""
SAMPLE = 20
"""Replies on which `ama-ray check` has a judge agree with itself."""
TRIED = 3
"""Questions of which a judge has to answer one with a mark, before anything starts."""
STAND_IN = "Yes."
"""A reply, before there is a model to reply."""
NO_KEY = "none"
"""Sent in place of a key, which the client insists on."""
FREE = {"prompt": 0, "completion": 0}
"""Tokens spent on a verdict that was known."""


class MissingMarksError(ScorerError):
    """A judge answered, and gave no mark to too many questions."""


@dataclass(frozen=True)
class Verdicts:
    """What a judge answered.

    Attributes:
        numbers: One per question; NaN where the judge gave no mark, twice.
        tokens: Spent on all of them, by kind: `prompt` (sent) and `completion` (sent back).
    """

    numbers: list[float]
    tokens: dict[str, int]


@dataclass(frozen=True)
class _Verdict:
    number: float | None
    tokens: dict[str, int]
    said: str = ""


@dataclass(frozen=True)
class JudgeClient:
    """Asks one judge; holds no connection and no key.

    Attributes:
        settings: Of the run file.
        low: The lowest number that counts as a verdict.
        high: The highest.
        dialect: How the server wants to be asked. `check` settles it, so that all trials ask in one form.
    """

    settings: Judge
    low: float
    high: float
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def name(self) -> str:
        """For errors."""
        return f"the judge {self.settings.model} at {self.settings.url}"

    def check(self, questions: Sequence[str]) -> None:
        """Asks the server whether it is there and has the model, and for a mark.

        Args:
            questions: To ask one after the other, until one has a mark.

        Raises:
            UserError: It is not, gives none, or the key or the cache folder cannot be used.
        """
        import openai

        try:
            with JudgeCache.open():
                pass
            timeout = min(self.settings.timeout, CHECK_SECONDS)
            client = openai.OpenAI(base_url=self.settings.url, api_key=self._key(), timeout=timeout, max_retries=1)
            with client:
                models = [model.id for model in client.models.list()]
            if self.settings.model not in models:
                raise UserError(f"{self.name}: the server has no such model; it has {', '.join(models) or 'none'}.")
        except openai.NotFoundError:
            pass  # some servers do not list their models
        except (ScorerError, UserError) as error:
            raise UserError(f"{str(error).removesuffix('.')}.") from None
        except Exception as error:
            raise UserError(f"{self._trouble(error)}; check judge.url and that the server runs.") from None
        refusal: ScorerError | None = None
        for question in questions:
            if self.dialect.settled:
                return
            # A form in which this judge refuses one question may be right for the next.
            self.dialect.start_again()
            try:
                self.ask([question], cached=False)
            except MissingMarksError as error:
                refusal = error
            except ScorerError as error:
                raise UserError(f"{error}; it was asked for a mark, to see whether it gives any.") from None
        if refusal and not self.dialect.settled:
            raise UserError(f"{refusal}; prompts tried to see whether it gives marks: {len(questions)}.")

    def ask(self, questions: Sequence[str], *, cached: bool = True) -> Verdicts:
        """Asks all questions, as many at a time as the settings allow; equal ones once.

        Args:
            questions: To ask.
            cached: Whether a verdict that is known counts.

        Raises:
            MissingMarksError: The judge gave no mark to more than `MOST_MISSING` of them; one line.
            ScorerError: It cannot be reached; one line.
        """
        unique = list(dict.fromkeys(questions))
        try:
            with JudgeCache.open() as cache:
                verdicts = dict(zip(unique, asyncio.run(self._ask_all(unique, cache, cached=cached)), strict=True))
        except ExceptionGroup as group:
            # One failure ends the rest, so there is rarely a second.
            raise group.exceptions[0] from None
        except OSError as error:
            raise ScorerError(self._trouble(error)) from error
        missing = [verdict for verdict in verdicts.values() if verdict.number is None]
        if len(missing) > MOST_MISSING * len(verdicts):
            raise MissingMarksError(
                f"{self.name} gave no number from {self.low:g} to {self.high:g} for {len(missing)} of {len(verdicts)} "
                f"questions; it answered {missing[0].said}"
            )
        tokens = {kind: sum(verdict.tokens[kind] for verdict in verdicts.values()) for kind in FREE}
        numbers = [verdicts[question].number for question in questions]
        return Verdicts([math.nan if number is None else number for number in numbers], tokens)

    def agreement(self, questions: Sequence[str]) -> str:
        """Asks all questions twice, whatever is known, and tells how far the verdicts are the same; one line.

        Raises:
            UserError: As `ask` raises a `ScorerError`.
        """
        try:
            first, again = (self.ask(questions, cached=False).numbers for _ in range(2))
        except ScorerError as error:
            raise UserError(f"{error}.") from None
        pairs = [pair for pair in zip(first, again, strict=True) if not math.isnan(sum(pair))]
        apart = math.fsum(abs(one - other) for one, other in pairs) / len(pairs)
        return (
            f"{self.name}, asked twice about {len(questions)} replies: the same verdict on "
            f"{sum(one == other for one, other in pairs)}, {apart:.2g} apart in the mean on a scale from {self.low:g} "
            f"to {self.high:g}, none on {len(questions) - len(pairs)}"
        )

    async def _ask_all(self, questions: Sequence[str], cache: JudgeCache, *, cached: bool) -> list[_Verdict]:
        from openai import AsyncOpenAI

        places = asyncio.Semaphore(self.settings.concurrency)
        async with (
            AsyncOpenAI(
                base_url=self.settings.url,
                api_key=self._key(),
                timeout=self.settings.timeout,
                max_retries=self.settings.retries,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(self._verdict(question, client, places, cache, cached=cached))
                for question in questions
            ]
        return [task.result() for task in tasks]

    async def _verdict(
        self, question: str, client: AsyncOpenAI, places: asyncio.Semaphore, cache: JudgeCache, *, cached: bool
    ) -> _Verdict:
        """The verdict on one question, from the cache, or the judge; it is asked a second time for what is no mark."""
        asked: dict[str, Any] = {"url": self.settings.url, "model": self.settings.model, "question": question}
        asked |= {"max_tokens": self.settings.max_tokens}
        messages = [{"role": "user", "content": question}]
        tokens = dict(FREE)
        try:
            known = cache.get(asked) if cached else None
            if known is not None and (number := self._read(known)) is not None:
                return _Verdict(number, tokens)
            for last in (False, True):
                async with places:
                    completion = await self._completion(client, messages)
                answer = answer_of(completion)
                if usage := completion.usage:
                    tokens["prompt"] += usage.prompt_tokens
                    tokens["completion"] += usage.completion_tokens
                number = self._read(answer)
                if number is not None or last:
                    break
                again = f"Give the mark alone: one number from {self.low:g} to {self.high:g}."
                messages += [{"role": "assistant", "content": answer or "..."}, {"role": "user", "content": again}]
            if number is not None:
                # Others are not kept: after a change of the server, the same question may have a better answer.
                cache.keep(asked, answer)
        except Exception as error:
            raise ScorerError(self._trouble(error)) from None
        return _Verdict(number, tokens, f"{answer[-200:]!r} (finish reason: {completion.choices[0].finish_reason})")

    async def _completion(self, client: AsyncOpenAI, messages: list[dict[str, str]]) -> Any:
        """An answer, in a form that the server offers and the model writes marks in."""
        import openai

        dialect, scale = self.dialect, (self.low, self.high)
        while True:
            version = dialect.version
            try:
                completion = await client.chat.completions.create(**dialect.request(self.settings, messages, scale))
            except openai.APIStatusError as refusal:
                if not dialect.learn(refusal, version):
                    raise
                continue
            if self._read(answer_of(completion)) is not None:
                dialect.settled = True
            elif dialect.next_form(version):
                continue
            return completion

    def _read(self, answer: str) -> float | None:
        return read_number(answer, self.low, self.high)

    def _trouble(self, error: Exception) -> str:
        """What went wrong, in one line that never holds the key."""
        import openai

        match error:
            case openai.APITimeoutError():
                what = "did not answer in time"
            case openai.APIConnectionError():
                what = f"cannot be reached ({one_line(error.__cause__ or error)})"
            case openai.APIStatusError():
                what = f"answered with status {error.status_code} ({' '.join(error.message.split()):.300})"
            case OSError():
                what = f"cannot be asked: {error}"
            case _:
                what = f"did not answer as an OpenAI-compatible server does ({one_line(error)})"
        line = f"{self.name} {what}"
        return line.replace(self._key(), "***") if self.settings.api_key_env else line

    def _key(self) -> str:
        try:
            return key_of(self.settings.api_key_env, f"{self.name}: api_key_env") or NO_KEY
        except UserError as error:  # where it is asked in the process of a trial, that trial has failed
            raise ScorerError(str(error).removesuffix(".")) from None


def stand_in(row: Row, reference: str) -> str:
    """A reply to a row before there is a model to reply: its reference where it has one."""
    found = row.fields.get(reference)
    return found if isinstance(found, str) else STAND_IN
