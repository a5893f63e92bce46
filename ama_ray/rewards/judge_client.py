"""Asking a judge: a language model behind an OpenAI-compatible address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.environment import key_of
from ama_ray.errors import UserError, one_line
from ama_ray.rewards.base import ScorerError
from ama_ray.rewards.rubric import read_number
from ama_ray.rewards.verdict_cache import JudgeCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openai import AsyncOpenAI

    from ama_ray.config import Judge

CHECK_SECONDS = 10
"""Longest wait for a judge that is asked, before anything starts, whether it is there."""
NO_KEY = "none"
"""Sent in place of a key, which the client insists on."""


FREE = {"prompt": 0, "completion": 0}
"""Tokens spent on a verdict that was known."""


@dataclass(frozen=True)
class Verdicts:
    """What a judge answered.

    Attributes:
        numbers: One per question.
        tokens: Spent on all of them, by kind: `prompt` (sent) and `completion` (sent back).
    """

    numbers: list[float]
    tokens: dict[str, int]


@dataclass(frozen=True)
class _Verdict:
    number: float
    tokens: dict[str, int]


@dataclass(frozen=True)
class JudgeClient:
    """Asks one judge; holds no connection and no key.

    Attributes:
        settings: Of the run file.
        low: The lowest number that counts as a verdict.
        high: The highest.
    """

    settings: Judge
    low: float
    high: float

    @property
    def name(self) -> str:
        """For errors."""
        return f"the judge {self.settings.model} at {self.settings.url}"

    def check(self) -> None:
        """Asks the server whether it is there and has the model; costs no tokens.

        Raises:
            UserError: It is not, or the key or the cache folder cannot be used.
        """
        import openai

        try:
            with JudgeCache.open():
                pass
            timeout = min(self.settings.timeout, CHECK_SECONDS)
            client = openai.OpenAI(base_url=self.settings.url, api_key=self._key(), timeout=timeout, max_retries=1)
            with client:
                models = [model.id for model in client.models.list()]
        except openai.NotFoundError:
            return  # some servers do not list their models
        except ScorerError as error:
            raise UserError(f"{error}.") from None
        except Exception as error:
            raise UserError(f"{self._trouble(error)}; check judge.url and that the server runs.") from None
        if self.settings.model not in models:
            raise UserError(f"{self.name}: the server has no such model; it has {', '.join(models) or 'none'}.")

    def ask(self, questions: Sequence[str]) -> Verdicts:
        """Asks all questions, as many at a time as the settings allow; equal ones once.

        Raises:
            ScorerError: The judge cannot be reached, or an answer has no number within the limits; one line.
        """
        unique = list(dict.fromkeys(questions))
        try:
            with JudgeCache.open() as cache:
                verdicts = dict(zip(unique, asyncio.run(self._ask_all(unique, cache)), strict=True))
        except ExceptionGroup as group:
            # One failure ends the rest, so there is rarely a second.
            raise group.exceptions[0] from None
        except OSError as error:
            raise ScorerError(self._trouble(error)) from error
        tokens = {kind: sum(verdict.tokens[kind] for verdict in verdicts.values()) for kind in FREE}
        return Verdicts([verdicts[question].number for question in questions], tokens)

    async def _ask_all(self, questions: Sequence[str], cache: JudgeCache) -> list[_Verdict]:
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
            tasks = [group.create_task(self._ask(question, client, places, cache)) for question in questions]
        return [task.result() for task in tasks]

    async def _ask(self, question: str, client: AsyncOpenAI, places: asyncio.Semaphore, cache: JudgeCache) -> _Verdict:
        fields: dict[str, Any] = {
            "model": self.settings.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": self.settings.max_tokens,
            "temperature": 0,
            "seed": 0,
        }
        asked = fields | {"url": self.settings.url}
        try:
            known = cache.get(asked)
            if known is not None and (number := read_number(known, self.low, self.high)) is not None:
                return _Verdict(number, FREE)
            async with places:
                completion = await client.chat.completions.create(**fields)
            answer = completion.choices[0].message.content or ""
            number = read_number(answer, self.low, self.high)
            if number is not None:
                # Others are not kept: after a change of the server, the same question may have a better answer.
                cache.keep(asked, answer)
        except Exception as error:
            raise ScorerError(self._trouble(error)) from None
        if number is None:
            raise ScorerError(
                f"{self.name} gave no number from {self.low:g} to {self.high:g}; it answered {answer[-200:]!r} "
                f"(finish reason: {completion.choices[0].finish_reason})"
            )
        usage = completion.usage
        spent = {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens} if usage else FREE
        return _Verdict(number, spent)

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
