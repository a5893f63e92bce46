"""Signals while a search runs."""

from __future__ import annotations

import os
import pickle
import signal

import pytest

from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.tuning.signals import Interrupted, interrupts


def test_a_first_signal_is_noticed_and_a_second_one_raises() -> None:
    noticed: list[bool] = []
    with pytest.raises(Interrupted) as raised, interrupts() as signals:
        signals.deferred, signals.notice = True, lambda: noticed.append(True)
        os.kill(os.getpid(), signal.SIGINT)
        assert noticed == [True]
        os.kill(os.getpid(), signal.SIGTERM)
    assert (raised.value.signal, raised.value.front) == (signal.SIGTERM, None)


def test_what_ray_makes_of_it_is_told_apart_from_others() -> None:
    with pytest.raises(Interrupted), interrupts() as signals:
        signals.received = signal.SIGINT
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt) as raised, interrupts():
        raise KeyboardInterrupt
    assert not isinstance(raised.value, Interrupted)


def test_the_front_so_far_is_handed_over() -> None:
    front = ParetoSet([])
    with pytest.raises(Interrupted) as raised, interrupts() as signals:
        signals.check(front)
        signals.received = signal.SIGINT
        signals.check(front)
    assert raised.value.front is front


def test_what_tune_pickles_has_no_listener() -> None:
    with interrupts() as signals:
        signals.notice = lambda: None
        assert pickle.loads(pickle.dumps(signals)).notice is None
