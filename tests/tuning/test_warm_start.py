from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import BASELINE_RATIOS, FIRST_RATIOS, RunConfig
from ama_ray.errors import UserError
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.scores.trial import Trial
from ama_ray.space.groups import Groups
from ama_ray.space.parametrization import parametrization
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import write_trials
from ama_ray.tuning.warm_start import FirstPoint, first_points
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = ("embed", "layer-0", "layer-1", "layer-2", "layer-3", "layer-4", "head")


def points(
    groups: tuple[str, ...] | dict[str, tuple[float, float]] = GROUPS, **fields: Any
) -> tuple[list[FirstPoint], list[FirstPoint]]:
    """The baseline and the others."""
    ranges = groups if isinstance(groups, dict) else dict.fromkeys(groups, (0.0, 1.0))
    config = RunConfig.load(ROOT / "run.yaml", out="unused", **fields)
    inputs: Any = SimpleNamespace(config=config, groups=Groups(tuple(ranges), {}, ranges))
    found = first_points(inputs, parametrization(ranges, config.mean_ratio))
    baseline = [point for point in found if point.origin == "baseline"]
    assert found[: len(baseline)] == baseline
    return baseline, found[len(baseline) :]


def vectors(found: list[FirstPoint]) -> list[list[float]]:
    return [list(point.ratios.values()) for point in found]


def earlier_run(folder: Path, groups: tuple[str, ...], ratios: list[list[float]]) -> Path:
    """A run whose points are all on the front, but the last, which another beats; base and aligned with them."""
    folder.mkdir()
    (folder / "run.yaml").write_text(RunConfig.load(ROOT / "run.yaml", out=folder).to_yaml())
    ObjectivesFile.of(objectives_of(RunConfig.load(ROOT / "run.yaml"))).write(folder)
    ends = [[0.0] * len(groups), *ratios, [1.0] * len(groups)]
    last = len(ends) - 1
    trials = [
        Trial(
            number,
            "complete",
            "baseline" if number in (0, last) else "sampler",
            dict(zip(groups, vector, strict=True)),
            scores((float(number), number / last)),
        )
        for number, vector in enumerate(ends)
    ]
    beaten = dict(zip(groups, [0.123] * len(groups), strict=True))
    write_trials(folder / "trials.csv", [*trials, Trial(99, "complete", "sampler", beaten, scores((0.0, 1.0)))])
    return folder


def test_the_baseline_is_always_first_and_whole() -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"warm_start": []},
        {"warm_start": ["uniform"]},
        {"mean_ratio": 0.8, "warm_start": []},
    ]
    for fields in cases:
        baseline, others = points(dict.fromkeys(GROUPS, (0.2, 0.9)), **fields)
        assert {point.origin for point in baseline} == {"baseline"}
        assert all(len(set(vector)) == 1 for vector in vectors(baseline))
        uniform = [vector[0] for vector in vectors(baseline)]
        assert uniform[:2] == [0, 1]
        whole = "uniform" in fields.get("warm_start", [])
        assert sorted(uniform) == (list(BASELINE_RATIOS) if whole else sorted(FIRST_RATIOS))
        assert others == []


def test_parts_are_averaged_one_at_a_time() -> None:
    _, others = points(warm_start=["uniform", "parts"])
    assert {point.origin for point in others} == {"warm start"}
    h = 0.5
    assert vectors(others) == [[h, h, 1, 1, 1, 1, 1], [1, 1, h, h, 1, 1, 1], [1, 1, 1, 1, h, h, h]]
    assert list(others[0].ratios) == list(GROUPS)
    assert vectors(points(("a", "b"), warm_start=["parts"])[1]) == [[h, 1], [1, h]]
    # One group at 0.5 is uniform already.
    assert points(("all",), warm_start=["parts"])[1] == []


def test_warm_starts_are_moved_into_the_ranges_and_onto_the_slice() -> None:
    ranges = {"a": (0.6, 1.0), "b": (0.0, 0.9), "c": (0.0, 1.0)}
    clipped = [[0.6, 0.9, 1], [1, 0.5, 1], [1, 0.9, 0.5]]
    assert vectors(points(ranges, warm_start=["parts"])[1]) == clipped
    _, others = points(("a", "b", "c"), warm_start=["parts", "uniform"], mean_ratio=0.75)
    expected = [[5 / 12, 11 / 12, 11 / 12], [11 / 12, 5 / 12, 11 / 12], [11 / 12, 11 / 12, 5 / 12], [0.75] * 3]
    for found, wanted in zip(vectors(others), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)
    # 0.8 is in the baseline.
    assert points(("a", "b", "c"), mean_ratio=0.8)[1] == []


def test_the_front_of_an_earlier_run_is_taken_up(tmp_path: Path) -> None:
    front = [[0.1, 0.9], [0.3, 0.8], [0.5, 0.5], [0.6, 0.2]]
    folder = earlier_run(tmp_path / "old", ("b", "a"), front)
    _, others = points(("a", "b"), warm_start=["uniform", folder, folder])
    # In the order of our groups; the uniform ones are in the baseline, and so are their numbers.
    assert [point.ratios for point in others] == [{"a": a, "b": b} for b, a in front if a != b]
    assert {point.origin for point in others} == {"warm start"}


def test_a_long_front_is_thinned_evenly(tmp_path: Path) -> None:
    folder = earlier_run(tmp_path / "old", ("a", "b"), [[i / 100, 0.99] for i in range(31)])
    _, others = points(("a", "b"), warm_start=[folder], trials=44)
    assert vectors(others) == [[i * 3 / 100, 0.99] for i in range(11)]
    assert len(points(("a", "b"), warm_start=[folder], trials=15)[1]) == 3


def test_an_earlier_run_must_be_one_and_have_the_same_groups(tmp_path: Path) -> None:
    folder = earlier_run(tmp_path / "old", ("a", "c"), [[0.1, 0.2]])
    with pytest.raises(UserError, match=r"warm_start: c is a group of .*old only \(and 1 more\); name a run"):
        points(("a", "b"), warm_start=[folder])
    with pytest.raises(UserError, match=r"warm_start: b is a group of this run only; "):
        points(("a", "b", "c"), warm_start=[folder])
    with pytest.raises(UserError, match=r"warm_start: .*prats: not the folder of a run"):
        points(warm_start=["prats"])


def test_a_short_search_takes_both_ends_of_an_earlier_front(tmp_path: Path) -> None:
    folder = earlier_run(tmp_path / "old", GROUPS, [[0.1 * i] * len(GROUPS) for i in (3, 4, 6)])
    _, others = points(warm_start=[str(folder)], trials=7)
    assert [vector[0] for vector in vectors(others)] == pytest.approx([0.3, 0.6])


def test_an_earlier_run_that_searched_on_this_report_split_is_refused(tmp_path: Path) -> None:
    folder = earlier_run(tmp_path / "old", GROUPS, [[0.3] * len(GROUPS)])
    with pytest.raises(UserError, match=r"report\.share is 0\.5 and this run's is 0\.6; make them equal"):
        points(warm_start=[str(folder)], report={"share": 0.6})


def test_more_first_points_than_trials_are_refused() -> None:
    assert len(points(warm_start=["parts"], trials=6)[1]) == 3
    with pytest.raises(UserError, match="trials: 3 uniform points and 3 warm starts are more than 5 trials"):
        points(warm_start=["parts"], trials=5)


def test_distilled_points_are_taken_up_after_what_costs_nothing_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, calls = ModuleType("ama_ray.distill"), []

    def distill(inputs: Any, progress: Any = None) -> list[Any]:
        calls.append(inputs)
        return [SimpleNamespace(mean_ratio=0.5, ratios={"a": 0.9, "b": 0.1})]

    module.distill = distill  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ama_ray.distill", module)
    _, others = points(("a", "b"), warm_start=["distill", "parts"])
    assert vectors(others) == [[0.9, 0.1], [0.5, 1], [1, 0.5]]
    with pytest.raises(UserError, match="not the folder of a run"):
        points(("a", "b"), warm_start=["distill", tmp_path / "none"])
    assert len(calls) == 1
