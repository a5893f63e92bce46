from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ama_ray.report.html.page import page
from ama_ray.report.html.render import write_html
from ama_ray.report.write import write_report
from ama_ray.scores.trial import KeptReply
from tests.support.runs import in_folder

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun


def test_both_splits_are_shown_each_with_its_front(reported: StoredRun, tmp_path: Path) -> None:
    run = in_folder(reported, tmp_path)
    shown = page(run, run.convergence())
    assert (shown.split, shown.splits) == ("report", ["report", "search"])
    assert len(shown.points) == 60  # the failed one has no scores
    for split, pareto in (("report", reported.pareto), ("search", reported.searched_pareto)):
        on_front = {point.number for point in shown.points if split in point.seen and point.seen[split].front}
        assert on_front == {trial.number for trial in pareto.front}
    assert (shown.named["base"], shown.named["aligned"]) == (0, 10)
    assert shown.named["knee.report"] == reported.pareto.pick("knee").number
    assert shown.points[5].name == "uniform 0.5"
    assert shown.convergence["hypervolume"][-1] == reported.searched_pareto.hypervolume
    assert shown.convergence["again"] == pytest.approx(shown.convergence["hypervolume"][-1] - reported.optimism.value)
    assert any("optimism" in warning for warning in shown.warnings)
    assert any("OutOfMemoryError" in warning for warning in shown.warnings)


def test_what_is_not_known_is_null(run: StoredRun, tmp_path: Path) -> None:
    trials = [replace(t, search=t.search and replace(t.search, probes={})) for t in run.trials]
    shown = page(in_folder(run.with_trials(trials), tmp_path), []).to_json()
    assert shown["probes"] == shown["prompts"] == []
    assert shown["convergence"]["again"] is None
    json.dumps(shown, allow_nan=False)


def test_long_replies_are_cut_and_hostile_ones_stay_text(reported: StoredRun, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!-- \u2028 {{ 7 * 7 }}"
    run = in_folder(reported, tmp_path)
    run.replies.write(0, [KeptReply(hostile, hostile), KeptReply("long", "x" * 9_000)])
    text = write_html(run).read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert embedded
    found = json.loads(embedded[1])
    assert found["prompts"] == [hostile, "long"]
    assert found["points"][0]["replies"] == [hostile, "x" * 2_000 + " […]"]


def test_test_data_is_said_first(test_data_run: StoredRun, tmp_path: Path) -> None:
    text = write_html(in_folder(test_data_run, tmp_path)).read_text(encoding="utf-8")
    assert text.index('class="warning"') < text.index("The search used test data", text.index('class="warning"'))
    assert "report split was not scored" in text


def test_the_run_folder_gets_the_page_and_pictures_for_papers(report_folder: Path) -> None:
    text = (report_folder / "report.html").read_text(encoding="utf-8")
    summary = json.loads((report_folder / "summary.json").read_text())
    assert summary["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert summary["machine"]["cores"] > 0
    assert all(each in text for each in ("1 min 30 s", summary["versions"]["ray"], summary["machine"]["system"]))
    for name in ("front", "convergence"):
        drawn = (report_folder / f"{name}.svg").read_text(encoding="utf-8")
        assert drawn.startswith("<?xml")
        assert "<text" in drawn


@pytest.mark.long
def test_the_same_run_has_the_same_pictures(reported: StoredRun, report_folder: Path, tmp_path: Path) -> None:
    write_report(in_folder(reported, tmp_path), {})
    for name in ("front", "convergence", "families", "importance"):
        assert (tmp_path / f"{name}.svg").read_bytes() == (report_folder / f"{name}.svg").read_bytes()


def test_the_page_is_made_without_torch_ray_or_vllm() -> None:
    code = (
        "import sys, tempfile, pathlib; from tests.support.runs import run_of\n"
        "from ama_ray.report.html.render import write_html\n"
        "import ama_ray.cli.main\n"
        "write_html(run_of([], pathlib.Path(tempfile.mkdtemp())))\n"
        "assert not {'torch', 'ray', 'vllm', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
