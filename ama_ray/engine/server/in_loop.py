"""`InLoopEngine`: the engine of a server, for code of its own process that waits for what it asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from ama_ray.engine.asking import ignored
from ama_ray.engine.pair_engine import PairEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ama_ray.engine.asking import Finished, SamplingFields
    from ama_ray.engine.openai_address import OpenAIAddress
    from ama_ray.engine.requests import Answer
    from ama_ray.engine.server.control import Control
    from ama_ray.engine.server.protocol import Facts

R = TypeVar("R")


class InLoopEngine(PairEngine):
    """One vLLM server, called from any thread but that of its event loop."""

    def __init__(self, control: Control, facts: Facts, loop: asyncio.AbstractEventLoop) -> None:
        """Takes the server's event loop along."""
        self._control = control
        self._loop = loop
        self.facts = facts
        self._warm_up()

    def _run(
        self, prompts: list[list[int]], params: list[SamplingFields], finished: Finished = ignored
    ) -> list[Answer]:
        return self._wait_for(self._control.run(prompts, params))

    def call_workers(self, method: str, *args: Any) -> list[Any]:
        """Calls a method of `PairExtension` in every worker; returns what each of them returned."""
        return self._wait_for(self._control.call(method, *args))

    def _empty_cache(self) -> bool:
        return self._wait_for(self._control.reset_cache())

    def serve(self, work: Callable[[OpenAIAddress], R], ends: Sequence[int]) -> R:
        """Nobody: the server answers its clients itself."""
        raise NotImplementedError

    def _wait_for(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
