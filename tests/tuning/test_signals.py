"""Signals while a search runs."""

from __future__ import annotations

import os
import pickle
import signal
from typing import TYPE_CHECKING

import pytest

from ama_ray.config import RunConfig
from ama_ray.miniature import ROOT
from ama_ray.run import StoredRun
from ama_ray.scores.objectives import Objectives
from ama_ray.tuning.signals import Interrupted, interrupts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_first_signal_is_noticed_and_a_second_one_raises() -> None:
    noticed: list[bool] = []
    with pytest.raises(Interrupted) as raised, interrupts() as signals:
        signals.deferred, signals.notice = True, lambda: noticed.append(True)
        os.kill(os.getpid(), signal.SIGINT)
        assert noticed == [True]
        os.kill(os.getpid(), signal.SIGTERM)
    assert (raised.value.signal, raised.value.run) == (signal.SIGTERM, None)


def test_what_ray_makes_of_it_is_told_apart_from_others() -> None:
    with pytest.raises(Interrupted), interrupts() as signals:
        signals.received = signal.SIGINT
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt) as raised, interrupts():
        raise KeyboardInterrupt
    assert not isinstance(raised.value, Interrupted)


def test_the_run_so_far_is_handed_over(tmp_path: Path) -> None:
    run = StoredRun(tmp_path, RunConfig.load(ROOT / "run.yaml"), Objectives((), ()), ())
    with pytest.raises(Interrupted) as raised, interrupts() as signals:
        signals.check(run)
        signals.received = signal.SIGINT
        signals.check(run)
    assert raised.value.run is run


def test_what_tune_pickles_has_no_listener() -> None:
    with interrupts() as signals:
        signals.notice = lambda: None
        assert pickle.loads(pickle.dumps(signals)).notice is None
