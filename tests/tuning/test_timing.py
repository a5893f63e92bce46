import pytest

from ama_ray.tuning.timing import Clock, Timing


def test_the_stages_and_the_rest_make_up_the_wall_time_of_all_engines() -> None:
    timing = Timing.of({"swap": 5.0, "generate": 20.0, "score": 15.0}, wall=40.0, slots=2, engine_start=20.0)
    assert (timing.swap, timing.generate, timing.score) == (5, 20, 15)
    assert timing.orchestration == pytest.approx(1 - 60 / 80)
    assert str(timing) == ("40 s on 2 engines: engine start 25%, swap 6%, generate 25%, score 19%, orchestration 25%")


def test_a_clock_divides_the_time_since_the_user_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([13.0, 16.0, 20.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock(began=10.0)
    clock.lap("import")
    clock.lap("open")
    assert clock.laps == {"import": 3, "open": 3}
    assert str(clock) == "6 s (import 3, open 3)"
    assert clock.elapsed == 10
