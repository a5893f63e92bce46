"""The dial without an engine: a request runs while its point is in, and never else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.engine.server.point_switch import DialError, PointSwitch


@dataclass(frozen=True)
class Plan:
    """When a request comes, how long it runs, and when its client goes; in turns of the event loop."""

    point: str
    comes: int
    runs: int
    goes: int | None
    is_cancelled: bool


plans = st.builds(
    Plan,
    point=st.sampled_from("abcd"),
    comes=st.integers(0, 30),
    runs=st.integers(0, 12),
    goes=st.none() | st.integers(0, 30),
    is_cancelled=st.booleans(),
)


@dataclass
class World:
    """What the requests and the switches see of one another."""

    switch_takes: int = 3
    fails_at: int | None = None
    switches: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    switching: bool = False

    def __post_init__(self) -> None:
        self.dial = PointSwitch(self.switch)
        self.waiting: list[str] = []

    async def switch(self, point: str) -> None:
        assert not self.running
        assert not self.switching
        self.switching = True
        await turns(self.switch_takes)
        self.switching = False
        if len(self.switches) == self.fails_at:
            raise RuntimeError("some parameters were not reached")
        self.switches.append(point)

    async def request(self, point: str, runs: int, gone: asyncio.Future[None] | None = None) -> bool:
        ahead, before = {*self.waiting, point}, len(self.switches)
        self.waiting.append(point)
        try:
            async with self.dial.at(point, unless=gone) as is_in:
                if not is_in:
                    return False
                # Each point that waited gets one turn, besides the switch that was under way.
                assert len(self.switches) - before <= len(ahead) + 1
                self.running.append(point)
                try:
                    for _ in range(runs + 1):
                        assert self.dial.point == point == self.switches[-1]
                        assert set(self.running) == {point}
                        assert not self.switching
                        await asyncio.sleep(0)
                finally:
                    self.running.remove(point)
                return True
        finally:
            self.waiting.remove(point)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def played(world: World, plan: Plan) -> bool:
    """Whether the request was served; one whose client goes need not be."""
    await turns(plan.comes)
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(world.request(plan.point, plan.runs, gone))
    if plan.goes is None:
        return await task
    await turns(plan.goes)
    if plan.is_cancelled:
        task.cancel()
    else:
        gone.set_result(None)
    await asyncio.wait([task])
    return True


@given(st.lists(plans, max_size=25), st.integers(0, 5))
def test_every_request_runs_at_its_point_and_none_waits_for_ever(requests: list[Plan], switch_takes: int) -> None:
    async def play() -> None:
        world = World(switch_takes)
        served = await asyncio.wait_for(asyncio.gather(*(played(world, plan) for plan in requests)), 10)
        assert all(served)
        assert not world.running
        # Nothing that was left behind holds the dial.
        assert await asyncio.wait_for(world.request("e", 1), 10)

    asyncio.run(play())


@given(st.lists(plans, min_size=1, max_size=15), st.integers(0, 4))
def test_after_a_switch_that_failed_nobody_is_let_in(requests: list[Plan], fails_at: int) -> None:
    async def play() -> None:
        world = World(fails_at=fails_at)
        ended = await asyncio.wait_for(
            asyncio.gather(*(played(world, plan) for plan in requests), return_exceptions=True), 10
        )
        for result in ended:
            assert result is True or isinstance(result, DialError)
        assert len(world.switches) <= fails_at
        if world.dial.failure:
            assert world.dial.point is None
            with pytest.raises(DialError, match="not reached"):
                await world.request(world.switches[-1] if world.switches else "a", 1)

    asyncio.run(play())


def test_all_that_wait_for_a_point_run_together() -> None:
    async def play() -> None:
        world = World()
        first = asyncio.create_task(world.request("a", 20))
        await turns(10)
        others = [asyncio.create_task(world.request(point, 0)) for point in "babcbac"]
        await turns(5)
        # The second a came before any other waited no more: it waits, as b has waited longer.
        assert world.running == ["a"]
        await asyncio.gather(first, *others)
        assert world.switches == ["a", "b", "a", "c"]

    asyncio.run(play())


def test_a_stream_of_requests_does_not_keep_another_point_out() -> None:
    async def play() -> None:
        world = World()

        async def stream() -> None:
            while True:
                await world.request("a", 3)

        streams = [asyncio.create_task(stream()) for _ in range(5)]
        await turns(20)
        assert await asyncio.wait_for(world.request("b", 1), 10)
        for task in streams:
            task.cancel()
        await asyncio.wait(streams)

    asyncio.run(play())


def test_a_point_that_is_in_costs_no_switch() -> None:
    async def play() -> None:
        world = World()
        for _ in range(3):
            assert await world.request("a", 1)
        assert world.switches == ["a"]

    asyncio.run(play())
