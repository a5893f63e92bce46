import pytest

from ama_ray.tuning.timing import Timing


def test_the_stages_and_the_rest_make_up_the_wall_time_of_all_engines() -> None:
    timing = Timing.of({"swap": 5.0, "generate": 20.0, "score": 15.0}, wall=40.0, slots=2, engine_start=20.0)
    assert (timing.swap, timing.generate, timing.score) == (5, 20, 15)
    assert timing.orchestration == pytest.approx(1 - 60 / 80)
    assert str(timing) == ("40 s on 2 engines: engine start 25%, swap 6%, generate 25%, score 19%, orchestration 25%")
