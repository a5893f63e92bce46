from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from ama_ray.report.text.front_table import front_table
from ama_ray.scores.trial import ProbeResult, Scores, Trial
from tests.support.trials import with_objectives

if TYPE_CHECKING:
    from ama_ray.run import StoredRun


def drawn(run: StoredRun, width: int = 100) -> list[str]:
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(front_table(run))
    return out.getvalue().splitlines()


def row(lines: list[str], number: int) -> str:
    return next(line for line in lines if line.split()[:1] == [str(number)])


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_cuts_nothing_off(run: StoredRun, width: int) -> None:
    lines = drawn(run, width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for trial in run.pareto.front:
        assert f"{trial.reward:z.2f} ± 0.06" in row(lines, trial.number)


def test_it_marks_knee_base_aligned_and_best_uniform(run: StoredRun) -> None:
    lines = drawn(run)
    assert "knee" in row(lines, run.pareto.pick("knee").number)
    assert "base" in row(lines, 0)
    assert row(lines, 0).endswith("▁▁▁▁▁▁▁▁")
    assert "aligned" in row(lines, 10)
    assert row(lines, 10).endswith("████████")
    assert sum("* " in line for line in lines[:-9]) == 1


def test_the_caption_defines_what_is_shown(run: StoredRun) -> None:
    text = " ".join(" ".join(drawn(run)).split())
    for definition in ("reward: mean score", "tax: points (0-1) lost", "± is one standard error", "Hypervolume (1 is"):
        assert definition in text


def wide(trial: Trial) -> Trial:
    ratios = dict(zip((f"layers.{i}" for i in range(100)), np.linspace(0, 1, 100), strict=True))
    probes = {f"a_long_probe_{i}": ProbeResult(0.5, 0.02, 0.1, 0.01) for i in range(9)}
    return replace(trial, ratios=ratios, search=Scores(trial.objectives, probes))


def test_many_groups_and_probes_still_fit(run: StoredRun) -> None:
    lines = drawn(run.with_trials([wide(trial) for trial in run.pareto.front if trial.origin == "sampler"]), width=80)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
    assert "one bar per 5 groups (their mean)" in text
    shown = row(lines, run.pareto.front[1].number).count(" 0.50")
    assert shown >= 2
    assert f"{9 - shown} more probes are in trials.csv" in text
    assert "▁▁▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇██" in text


def test_without_a_trade_it_says_why(run: StoredRun) -> None:
    free = [with_objectives(trial, tax=0.0) if trial.number == 10 else trial for trial in run.trials]
    assert "No knee and no hypervolume, as the aligned model costs no tax" in " ".join(drawn(run.with_trials(free)))
    assert "the base model has no complete trial" in " ".join(" ".join(drawn(run.with_trials([]))).split())


def test_it_tells_the_split_and_how_much_the_search_fooled_itself(run: StoredRun, reported: StoredRun) -> None:
    before, after = (" ".join(" ".join(drawn(each)).split()) for each in (run, reported))
    assert "The front on the search split" in before
    assert "so they are somewhat too good" in before
    assert "The front on the report split" in after
    assert "whose items the search never saw" in after
    assert f"had fooled itself by {reported.optimism.value:.3f}" in after
    assert "fooled" not in before


def test_several_rewards_fit_too(several: StoredRun) -> None:
    lines = drawn(several, width=80)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert "knee" in row(lines, several.pareto.pick("knee").number)
    for name in several.pareto.objectives:
        assert f"{name} {'↓' if name == 'tax' else '↑'}" in lines[1]
    for trial in several.pareto.front:
        assert row(lines, trial.number).count("±") == len(several.pareto.objectives)


def test_test_data_is_told_in_the_first_line(test_data_run: StoredRun) -> None:
    assert " ".join(drawn(test_data_run)[0].split()).startswith("The search used test data (allow_test_split)")


def test_constraints_and_the_reference_are_told_and_fit(bounded: StoredRun) -> None:
    lines = drawn(bounded, width=80)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
    over = [trial for trial in bounded.pareto.scored if trial.tax > 0.1]
    assert 0 < len(over) < len(bounded.pareto.scored)
    assert f"Front: trials with tax <= 0.1; {len(over)} of {len(bounded.pareto.scored)} left out." in text
    assert "Hypervolume counts from reward 1.5, tax 0.09 on." in text
    assert not {trial.number for trial in over} & {trial.number for trial in bounded.pareto.front}
    assert "aligned" in row(lines, 10)


def test_without_a_point_that_satisfies_the_constraints_it_says_so(unsatisfied: StoredRun) -> None:
    lines = drawn(unsatisfied, width=80)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
    assert "No trial satisfies reward >= 99; the nearest is trial" in text
    assert "base" in row(lines, 0)
    assert "knee" not in text


def test_bars_reach_the_highest_ratio_beyond_aligned(run: StoredRun) -> None:
    trials = [t if t.number < 11 else replace(t, ratios=dict.fromkeys(t.ratios, 1.2345)) for t in run.trials]
    beyond = run.with_trials(trials)
    lines = drawn(beyond)
    far = next(trial for trial in beyond.pareto.front if trial.number > 10)
    assert "█ is 1.3; one bar" in " ".join(" ".join(lines).split())
    # Of seven steps, 1 is 5.4 and 1.2345 is 6.6.
    assert row(lines, 10).endswith("▆" * 8)
    assert row(lines, far.number).endswith("█" * 8)
    assert "█ is 1; one bar" in " ".join(" ".join(drawn(run)).split())
