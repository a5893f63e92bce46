"""When a search ends, on made-up trials whose gains are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.miniature import ROOT
from ama_ray.pareto.pareto_set import ParetoSet
from ama_ray.run import StoredRun
from ama_ray.storage.item_store import ItemStore
from ama_ray.tuning.stopping.plateau import HypervolumePlateau
from tests.support.made_up_search import LARGE, LINE, OBJECTIVES, search
from tests.support.scheduled_run import TRIALS, Run, run_to_the_end

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ama_ray.scores.trial import Trial

WORSE = [(0.3, 0.3), (0.8, 0.4), (0.5, 0.2), (1.0, 0.35)]
BETTER = [(1.75, 0.06)]


def plateau(folder: Path, **fields: Any) -> HypervolumePlateau:
    config = RunConfig.load(ROOT / "run.yaml", out=folder, **fields)
    return HypervolumePlateau(StoredRun(folder, config, OBJECTIVES, ()))


def patience(folder: Path, trials: int) -> HypervolumePlateau:
    return plateau(folder, stop={"patience": trials})


def scored(folder: Path, truths: Sequence[tuple[float, float]]) -> list[Trial]:
    trials, items = search(truths, 0, LARGE)
    for number, each in items.items():
        ItemStore(folder / "items").write("search", number, each)
    return trials


def test_it_ends_once_the_last_trials_won_nothing(tmp_path: Path) -> None:
    trials = scored(tmp_path, [*LINE, *WORSE, *BETTER, *WORSE])
    watching = patience(tmp_path, 3)
    reasons = [watching.reached(trials[: count + 1]) for count in range(len(trials))]
    # Base, aligned and four good trials; three bad ones.
    assert [reason is not None for reason in reasons[:9]] == [False] * 8 + [True]
    assert reasons[8] == "the last 3 of the sampler won 0.0000 ± 0.0000 of hypervolume, nothing beyond error"
    later = [reason is not None for reason in reasons[9:]]
    assert later == [True, False, False, False, True, True]


def test_a_trial_is_judged_once_and_the_order_of_their_ends_does_not_matter(tmp_path: Path) -> None:
    trials = scored(tmp_path, [*LINE, *WORSE])
    watching = patience(tmp_path, 4)
    assert watching.reached(trials[:9]) is None
    reason = watching.reached(trials[::-1])
    assert reason
    assert watching.reached(trials) is None
    assert patience(tmp_path, 4).reached(trials) == reason


def test_stopped_trials_count_and_failed_ones_warm_starts_and_baselines_do_not(tmp_path: Path) -> None:
    trials = scored(tmp_path, [*LINE, *WORSE])
    stopped = [*trials[:6], *(replace(trial, state="stopped", share=0.3) for trial in trials[6:])]
    assert patience(tmp_path, 4).reached(stopped)
    assert not patience(tmp_path, 4).reached(stopped[:-1])
    failed = [*trials[:9], replace(trials[9], state="failed", search=None)]
    assert not patience(tmp_path, 4).reached(failed)
    warm = [*trials[:9], replace(trials[9], origin="warm start")]
    assert not patience(tmp_path, 4).reached(warm)
    # A warm start that ended last did not win what it won in the place of the sampler.
    late = [*trials[:2], replace(trials[3], origin="warm start", number=99), trials[2], *trials[4:]]
    ItemStore(tmp_path / "items").write("search", 99, ItemStore(tmp_path / "items").read("search", 3))
    assert patience(tmp_path, 4).reached(late)


def test_without_a_trade_without_base_or_without_a_stop_it_goes_on(tmp_path: Path) -> None:
    trials = scored(tmp_path, [*LINE, *WORSE])
    flat = [trials[0], replace(trials[1], search=trials[0].search), *trials[2:]]
    assert ParetoSet(flat, split="search").no_trade
    assert not patience(tmp_path, 2).reached(flat)
    assert not patience(tmp_path, 2).reached(trials[1:])
    assert not patience(tmp_path, 2).reached([])
    assert not plateau(tmp_path, stop={"patience": 2}, constraints={"tax": "<= -5"}).reached(trials)
    assert not plateau(tmp_path).reached(trials)


def test_the_report_follows_as_it_does_after_the_last_trial(tmp_path: Path) -> None:
    run = Run(tmp_path)
    watching: Any = run.searcher._plateau
    watching.reached = lambda trials: "enough" if sum(t.search is not None for t in trials) == 8 else None
    run_to_the_end(run)
    assert run.searcher.ended == "enough"
    searched = [config["number"] for config in run.asked if config["split"] == "search"]
    assert searched == list(range(8)) != list(range(TRIALS))
    again = [config for config in run.asked if config["split"] == "report"]
    assert {"baseline", "sampler"} <= {config["origin"] for config in again}
    assert again[-1]["origin"] == "twin"
    assert run.recorder.run.pareto.split == "report"


def test_a_search_that_hands_out_all_its_trials_was_not_ended(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run_to_the_end(run)
    assert run.searcher.ended == ""


@pytest.mark.parametrize(
    ("stop", "where"),
    [({"patience": 0}, r"stop\.patience: .*1"), ({"patient": 3}, r"stop\.patient: .*patience"), (12, "stop: ")],
)
def test_what_is_no_stop_is_refused(tmp_path: Path, stop: object, where: str) -> None:
    with pytest.raises(UserError, match=where):
        RunConfig.load(ROOT / "run.yaml", out=tmp_path, stop=stop)
