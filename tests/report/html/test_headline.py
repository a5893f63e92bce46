"""The large numbers at the top of the page, against those of the sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.report.html.headline import headline
from ama_ray.report.html.render import write_html
from ama_ray.report.text.summary import sentence
from tests.support.item_texts import with_items
from tests.support.runs import run_of
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun


def test_the_tiles_say_what_the_sentence_says() -> None:
    run = run_of(five_trials())
    kept, paid, uniform = headline(run)
    knee, base, aligned = run.point("knee"), run.point("base"), run.point("aligned")
    assert kept.value == f"{(knee.reward - base.reward) / (aligned.reward - base.reward):.0%}"
    assert paid.value == f"{knee.tax / aligned.tax:.0%}"
    assert f"keeps {kept.value} of the reward" in sentence(run)
    assert f"at {paid.value} of its tax" in sentence(run)
    assert f"keeps {uniform.value}" in sentence(run)
    assert (kept.interval, kept.words) == ("", "of the reward that alignment won, kept by the knee")


def test_with_items_they_have_intervals(reported: StoredRun, tmp_path: Path) -> None:
    run = with_items(reported, tmp_path)
    claim = run.claims.knee["reward"]
    tiles = headline(run)
    assert tiles[0].interval == f"{claim.low:z.0%} to {claim.high:z.0%}"
    text = write_html(run).read_text()
    assert all(f"<strong>{tile.value}</strong>" in text and tile.words in text for tile in tiles)


def test_without_a_trade_there_are_none() -> None:
    assert headline(run_of(five_trials()[1:])) == []
    assert headline(run_of([])) == []
