"""Bounds are read, checked by name, and decide what a front is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.scores.constraints import Constraints
from tests.support.constrained import config, constraints_of, scored
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<= 0.02", ("<=", 0.02)),
        (">=3", (">=", 3.0)),
        (" >=  -1.5e-3 ", (">=", -0.0015)),
        ("<= .5", ("<=", 0.5)),
        ("<= 2.", ("<=", 2.0)),
    ],
)
def test_a_bound_is_read_and_written(written: str, read: tuple[str, float], tmp_path: Path) -> None:
    run = config(constraints={"tax": written})
    assert constraints_of(run).bounds == {"tax": read}
    (tmp_path / "run.yaml").write_text(run.to_yaml())
    assert RunConfig.load(tmp_path / "run.yaml") == run
    assert yaml.safe_load(run.to_yaml())["constraints"]["tax"] == f"{read[0]} {read[1]!r}"


@given(st.sampled_from(["<=", ">="]), st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives(side: str, limit: float) -> None:
    again = config(constraints=config(constraints={"tax": f"{side} {limit!r}"}).constraints)
    assert constraints_of(again).bounds["tax"] == (side, limit)


@pytest.mark.parametrize("bound", ["0.02", 0.02, "< 0.02", "== 1", "<= nan", ">= inf", "<= 0.02, >= 0", "", None])
def test_what_is_no_bound_is_told_with_the_remedy(bound: Any) -> None:
    with pytest.raises(UserError, match=r"constraints\.tax: .* is no bound; write a string such as '<= 0\.02'"):
        config(constraints={"tax": bound})


@pytest.mark.parametrize("name", ["taxes", "arc", "probe.squad", "helpful", "probe", "reward.reward"])
def test_an_unknown_name_lists_those_there_are(name: str) -> None:
    known = "there are reward, tax, tokens, probe.arc, probe.piqa, probe.gsm8k and family.NAME"
    with pytest.raises(UserError, match=rf"constraints: there is no '{name}'; {known}"):
        config(constraints={name: "<= 1"})
    with pytest.raises(UserError, match=rf"reference: there is no '{name}'; there are reward, tax[.;]"):
        config(reference={name: 1})


def test_an_unknown_family_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="constraints: there is no family 'sense'; there are common sense, math"):
        constraints_of(config(constraints={"family.sense": "<= 1"}))


@pytest.mark.parametrize("value", [math.nan, math.inf, "much"])
def test_a_reference_is_of_numbers(value: Any) -> None:
    with pytest.raises(UserError, match=r"reference\.tax"):
        config(reference={"tax": value})


def test_violations_are_in_the_units_of_what_is_bounded() -> None:
    bounds = {
        "tax": "<= 0.02",
        "reward": ">= 3",
        "probe.piqa": "<= 0.1",
        "family.common sense": "<= 0.15",
        "family.math": ">= 0",
    }
    constraints = constraints_of(config(constraints=bounds))
    seen = scored(2.5, 0.1, 0.3, -0.1)
    assert constraints.violations(seen) == pytest.approx(
        {
            "tax": 0.1 - 0.02,
            "reward": 0.5,
            "probe.piqa": 0.2,
            "family.common sense": 0.05,
            "family.math": 0.1,
        }
    )
    assert list(constraints.violations(seen)) == list(bounds)
    assert constraints.estimates(seen)["family.common sense"].se == pytest.approx(0.03 * 2**0.5 / 2)
    assert not constraints.satisfied(seen)
    assert (
        str(constraints_of(config(constraints={"tax": "<= 0.02", "reward": ">= 3"}))) == "tax <= 0.02 and reward >= 3"
    )


def test_the_bound_itself_satisfies_it_whatever_floating_point_says() -> None:
    constraints = constraints_of(config(constraints={"tax": "<= 0.02"}))
    assert 0.62 - 0.6 > 0.02
    assert constraints.violations(scores((1.0, 0.62 - 0.6))) == {"tax": 0.0}
    assert constraints.satisfied(scores((1.0, 0.62 - 0.6)))
    assert not constraints.satisfied(scores((1.0, 0.0200001)))


def test_what_is_not_known_satisfies_nothing() -> None:
    constraints = constraints_of(config(constraints={"probe.arc": "<= 1", "tax": "<= 1"}))
    violations = constraints.violations(scores((1.0, 0.0)))
    assert math.isnan(violations["probe.arc"])
    assert violations["tax"] == -1
    assert not constraints.satisfied(scores((1.0, 0.0)))
    assert constraints.doubt(scores((1.0, 0.0))) == math.inf


def test_doubt_is_that_of_the_bound_that_is_broken_most_surely() -> None:
    constraints = constraints_of(config(constraints={"tax": "<= 0.05", "reward": ">= 3"}))
    assert constraints.doubt(scores((3.2, 0.07), (0.1, 0.01))) == pytest.approx(2)
    assert constraints.doubt(scores((3.2, 0.02), (0.1, 0.01))) == pytest.approx(-2)
    assert constraints.doubt(scores((3.2, 0.05), (0.1, 0.0))) == pytest.approx(-2)
    assert constraints.doubt(scores((3.2, 0.06), (0.1, 0.0))) == math.inf
    assert Constraints().doubt(scores((3.2, 0.06))) == -math.inf
    assert Constraints().satisfied(scores((3.2, 0.06)))
    assert not Constraints()
