"""Points by name and by wish, from Python."""

from __future__ import annotations

import pytest

from ama_ray.errors import UserError
from ama_ray.pareto.named_points import best_uniform, knee, named, point, served
from ama_ray.pareto.pareto_set import ParetoSet
from tests.support.trials import trial

TRIALS = [
    trial(0, 0.0, 0.0, 0.0, report=(0.0, 0.0)),
    trial(1, 4.0, 0.4, 1.0, report=(4.0, 0.4)),
    trial(2, 2.0, 0.2, 0.5, report=(2.1, 0.2)),
    trial(3, 3.5, 0.05, report=(3.4, 0.06)),
    trial(4, 3.6, 0.07),
]
PARETO = ParetoSet(TRIALS, split="report")
NO_TRADE = ParetoSet([trial(0, 1.0, 0.0, 0.0), trial(1, 0.5, 0.1, 1.0)])


@pytest.mark.parametrize(
    ("name", "number"),
    [("knee", 3), ("base", 0), ("aligned", 1), ("uniform-0.5", 2), ("uniform-1", 1), ("4", 4), (4, 4), ("trial-4", 4)],
)
def test_a_point_has_a_name(name: str | int, number: int) -> None:
    assert point(PARETO, name).number == number


def test_a_point_is_seen_on_the_split_of_the_set() -> None:
    assert point(PARETO, 3).reward == 3.4
    assert point(ParetoSet(TRIALS), 3).reward == 3.5


@pytest.mark.parametrize(
    "name", ["", "knees", "-1", "uniform", "uniform-", "uniform-0.25", "7", 7, -1, "trial-7", "trial-"]
)
def test_what_has_no_point_is_refused(name: str | int) -> None:
    with pytest.raises(UserError):
        point(PARETO, name)


def test_the_points_of_a_server() -> None:
    numbers = {name: trial.number for name, trial in served(PARETO).items()}
    assert numbers == {
        **{"knee": 3, "base": 0, "aligned": 1},
        **{"trial-0": 0, "trial-3": 3, "trial-1": 1},
        **{"uniform-0": 0, "uniform-0.5": 2, "uniform-1": 1},
    }
    assert all(point(PARETO, name).number == number for name, number in numbers.items())


def test_without_a_trade_there_is_no_knee_to_serve() -> None:
    assert "knee" not in served(NO_TRADE)
    with pytest.raises(UserError, match="no front to serve"):
        served(ParetoSet([]))


def test_near_measures_in_units_of_the_box() -> None:
    # 0.2 of reward is a twentieth of the box, 0.2 of tax a half of it.
    assert PARETO.pick(near={"reward": 2.0, "tax": 0.05}).number == 3
    assert PARETO.pick(near={"tax": 0.0}).number == 0
    assert PARETO.pick(near={"reward": 0.0}, min_reward=1.0).number == 3


def test_near_says_what_it_lacks() -> None:
    with pytest.raises(UserError, match="leave one of the two out"):
        PARETO.pick("knee", near={"tax": 0.1})
    with pytest.raises(UserError, match="no objective 'helpful'"):
        PARETO.pick(near={"helpful": 0.1})
    with pytest.raises(UserError, match="no box to measure in"):
        NO_TRADE.pick(near={"tax": 0.1})


def test_named_points_are_those_that_there_are() -> None:
    numbers = {name: trial.number for name, trial in named(PARETO).items()}
    assert numbers == {"knee": 3, "base": 0, "aligned": 1, "best uniform": 0}
    assert {name: trial.number for name, trial in named(NO_TRADE).items()} == {"base": 0, "aligned": 1}
    assert named(ParetoSet([])) == {}
    assert knee(PARETO) == PARETO.pick("knee")
    assert knee(NO_TRADE) is knee(ParetoSet([])) is None


def test_the_best_uniform_point_costs_no_more_than_another_one() -> None:
    assert [best_uniform(PARETO, each).number for each in PARETO.uniform if best_uniform(PARETO, each)] == [0, 2, 1]  # type: ignore[union-attr]
    assert best_uniform(PARETO, trial(9, 9.0, -0.1)) is None
    assert best_uniform(NO_TRADE, NO_TRADE.base) is None
