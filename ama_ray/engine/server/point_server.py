"""`ama-ray serve`: a vLLM OpenAI server in which every point of a run is a model name."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from ama_ray.engine import deep_check
from ama_ray.engine.dtype import resolved
from ama_ray.engine.server.application import Application, Guarded, PairServer
from ama_ray.engine.server.in_loop import InLoopEngine
from ama_ray.engine.server.middleware import ASKED, PointMiddleware
from ama_ray.engine.server.point_switch import PointSwitch
from ama_ray.errors import UserError, one_line
from ama_ray.space.search_space import SearchSpace
from ama_ray.storage.identity import open_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import RunConfig
    from ama_ray.engine.server.settings import ServerSettings
    from ama_ray.space.groups import Groups

Ratios = dict[str, float]


def serve_points(
    config: RunConfig, points: Mapping[str, Ratios], settings: ServerSettings, tell: Callable[[str], None]
) -> None:
    """Serves until a signal comes.

    Args:
        config: The run file, which names the pair and the search space.
        points: Ratios (share of aligned by group) by the name that requests give as `model`; names with equal ratios
            are one point.
        settings: Where, and what.
        tell: Called with a line of text as it starts, at each switch, and at its end.

    Raises:
        UserError: The pair is off or not the run's, the address is taken or open to others without a key, vLLM does not
            start or has died, or its swap is not sound.
    """
    listening = settings.listen()
    pair = open_pair(config)
    groups = pair.groups(SearchSpace.load(config.space, config.range), config.models)
    for name, ratios in points.items():
        if ratios.keys() != set(groups.names):
            raise UserError(f"{config.out}: the groups of {name} are not those of this pair's search space any more.")
    server = PairServer(pair, config.sources, settings, listening, tell, tuple(points))
    serving = _Serving(pair, groups, points, settings, tell)
    try:
        server.run(serving.guard)
    finally:
        if serving.seconds:
            tell(serving.summary)


@dataclass
class _Serving:
    """The points of a run over one engine.

    Attributes:
        pair: Opened.
        groups: The search space, resolved for it.
        points: Ratios by name.
        settings: The settings of the server.
        tell: Called at each switch.
        seconds: What each switch took: the swap, its verification and the reset of the prefix cache.
    """

    pair: Pair
    groups: Groups
    points: Mapping[str, Ratios]
    settings: ServerSettings
    tell: Callable[[str], None]
    seconds: list[float] = field(default_factory=list)

    async def guard(self, application: Application) -> Guarded:
        """Has the point switch stand between clients and vLLM's application."""
        # Not on the event loop, which answers what the engine is asked.
        await asyncio.to_thread(self._check, application, asyncio.get_running_loop())
        same = {name: [n for n, ratios in self.points.items() if ratios == mine] for name, mine in self.points.items()}
        point_of = {name: names[0] for name, names in same.items()}
        title = {names[0]: _title(names) for names in same.values()}

        async def swap(point: str) -> None:
            start = time.perf_counter()
            await application.control.swap(self.points[point])
            self.seconds.append(time.perf_counter() - start)
            self.tell(f"{title[point]}: switched in {1000 * self.seconds[-1]:.1f} ms")

        switch = PointSwitch(swap)

        def failure() -> str:
            return f"A swap has failed ({one_line(switch.failure)}); start the server again." if switch.failure else ""

        # Answers say by which point: vLLM would name the first of its models in all of them.
        application.app.state.openai_serving_models.model_name = lambda lora_request=None: ASKED.get()
        self.tell(f"points: {', '.join(title.values())}")
        return Guarded(PointMiddleware(application.app, switch, point_of), failure)

    def _check(self, application: Application, loop: asyncio.AbstractEventLoop) -> None:
        """Loads both endpoints, and compares swaps with vLLM's own loading as a search does with a server.

        Raises:
            UserError: They differ.
        """
        pair, groups, settings = self.pair, self.groups, resolved(self.settings.engine, self.pair)
        engine = InLoopEngine(application.control, application.facts, loop)
        engine.attach_pair(pair.numbers(groups))
        verdict = engine.deep_check(pair, groups, settings)
        if not verdict.passed:
            raise deep_check.refusal(verdict, pair, settings)
        self.tell(f"deep check passed: {verdict}")

    @property
    def summary(self) -> str:
        """How many switches there were, and what they took."""
        middle, worst = 1000 * median(self.seconds), 1000 * max(self.seconds)
        return f"{len(self.seconds)} switches, median {middle:.1f} ms, worst {worst:.1f} ms"


def _title(names: list[str]) -> str:
    first, *others = names
    return f"{first} ({', '.join(others)})" if others else first
