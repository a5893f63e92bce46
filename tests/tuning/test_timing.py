import pytest

from ama_ray.trial import Trial
from ama_ray.tuning.timing import Timing


def test_the_stages_and_the_rest_make_up_the_wall_time_of_all_engines() -> None:
    seconds = {"swap": 0.5, "generate": 2.0, "score": 1.5}
    trials = [Trial(number, "complete", "sampler", {"a": 0.5}, seconds=seconds) for number in range(10)]
    trials.append(Trial(10, "failed", "sampler", {"a": 0.5}))
    timing = Timing.of(trials, wall=40.0, slots=2, engine_start=20.0)
    assert (timing.swap, timing.generate, timing.score) == (5, 20, 15)
    assert timing.orchestration == pytest.approx(1 - 60 / 80)
    assert str(timing) == ("40 s on 2 engines: engine start 25%, swap 6%, generate 25%, score 19%, orchestration 25%")
