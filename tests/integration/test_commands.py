"""A search whose reward and tax are scored by commands: the numbers of built-in kinds, and what goes wrong at times.

The command is the example of docs/objectives.md.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest

import ama_ray
from ama_ray.miniature import ROOT
from tests.support.doc_blocks import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.run import StoredRun

pytestmark = pytest.mark.engine
ITEMS, TRIALS, LIMIT = 60, 7, 12
SECRET = "sk-of-the-judge-123"
FAULTY = f"""
import os, pathlib, runpy, subprocess, sys, time

calls = pathlib.Path("calls.txt")
keys = calls.read_text().split() if calls.exists() else []
calls.write_text(" ".join([*keys, os.environ["OPENAI_API_KEY"]]))
print("call", len(keys), os.environ["OPENAI_API_KEY"], os.environ["JUDGE_API_KEY"], flush=True)
if len(keys) == 5:  # after both splits of base, base, aligned, and the middle
    sys.exit("no taste today")
if len(keys) == 6:
    subprocess.run(["sleep", "6{LIMIT}.19"], start_new_session=True)
if len(keys) == 7:
    print("forty-two")
else:
    runpy.run_path("harness.py")
"""
LENGTHS = """
import json, runpy

found = runpy.run_path("harness.py")
print(json.dumps({"scores": {row["prompt"]: len(reply) for row, reply in zip(found["rows"], found["replies"])}}))
"""
SCORER = "def length(rows, replies):\n    return [len(reply) for reply in replies]\n"


@dataclass(frozen=True)
class Searched:
    folder: Path
    run: StoredRun

    @property
    def rows(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "run" / "trials.csv")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    folder = tmp_path_factory.mktemp("commands")
    for split in ("search", "report"):
        lines = (ROOT / "data" / split / "sums.jsonl").read_text().splitlines(keepends=True)
        (folder / f"{split}.jsonl").write_text("".join(lines[:ITEMS]))
    (harness,) = (block.text for block in blocks() if block.file == "harness.py")
    for name, text in {"harness": harness, "faulty": FAULTY, "lengths": LENGTHS, "scorer": SCORER}.items():
        (folder / f"{name}.py").write_text(text)
    files = {"file": folder / "search.jsonl", "report_file": folder / "report.jsonl"}
    command: dict[str, Any] = {"kind": "command", "folder": folder, "timeout": LIMIT}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUDGE_API_KEY", SECRET)
        run = ama_ray.search(
            base=str(ROOT / "base"),
            aligned=str(ROOT / "rsf"),
            # The space of the other searches, whose deep check then holds here; and one engine, as two take long.
            space="per-layer",
            engine={"dtype": "float32", "cpus": 2, "max_model_len": 128},
            reward=[
                command | {"name": "mine", "objective": "mine", "command": [sys.executable, "lengths.py"]},
                {
                    "kind": "function",
                    "name": "ours",
                    "objective": "ours",
                    "scorer": f"{folder}/scorer.py:length",
                    "prompts": files,
                    "sampling": {"max_tokens": 6, "temperature": 0},
                },
            ],
            tax=[
                command | {"name": "mine-too", "family": "mine", "command": [sys.executable, "faulty.py"]},
                {"name": "sums", "family": "ours", "kind": "exact", "max_tokens": 6, **files},
            ],
            trials=TRIALS,
            unclear_trade="go-on",
            report={"points": 1},
            out=folder / "run",
        )
    return Searched(folder, run)


def test_the_command_of_the_docs_scores_as_a_built_in_probe(searched: Searched) -> None:
    complete = searched.rows[searched.rows["state"] == "complete"]
    scored = 0
    for split in ("", "report."):
        for mine, ours in (
            ("mine", "ours"),
            ("mine_se", "ours_se"),
            ("mine-too.score", "sums.score"),
            ("mine-too.tax", "sums.tax"),
            ("mine-too.tax_se", "sums.tax_se"),
        ):
            rows = complete[complete[f"{split}{mine}"].notna()]
            assert rows[f"{split}{mine}"].tolist() == pytest.approx(rows[f"{split}{ours}"].tolist(), rel=1e-12)
            assert len(set(rows[f"{split}{mine}"])) > 1
            scored += len(rows)
    assert scored >= 5 * (TRIALS - 3 + 11)


def test_items_are_paired_one_by_one(searched: Searched) -> None:
    items = searched.run.items.read("report", 0)
    assert items["mine-too"].shape == items["sums"].shape == (ITEMS, 1)
    assert sorted(items["mine"][:, 0]) == sorted(items["ours"][:, 0])
    assert items["mine-too"].sum() == items["sums"].sum() > 0


def test_what_goes_wrong_is_told_and_the_search_goes_on(searched: Searched) -> None:
    rows = searched.rows
    failed = rows[rows["state"] == "failed"].set_index("number")["reason"].to_dict()
    assert failed == {
        3: "the command of mine-too ended with exit code 1: no taste today",
        4: f"the command of mine-too did not end within {LIMIT} s: call 6 *** ***",
        5: "the command of mine-too must say {\"scores\": [...]}, and said 'forty-two'",
    }
    assert rows.set_index("number")["state"][6] == "complete"
    assert searched.run.pareto.split == "report"


def test_what_it_wrote_is_in_the_log_and_no_key_anywhere(searched: Searched) -> None:
    log = (searched.folder / "run" / "log.txt").read_text()
    assert "trial 3 (search split): the command of mine-too wrote:" in log
    assert "no taste today" in log
    assert "call 5 *** ***" in log
    keys = (searched.folder / "calls.txt").read_text().split()
    assert len(set(keys)) == len(keys) > TRIALS + 11  # one for each time
    files = [path.read_bytes() for path in (searched.folder / "run").rglob("*") if path.is_file()]
    assert not [key for key in [*keys, SECRET] for text in files if key.encode() in text]


def test_nothing_is_left_behind(searched: Searched) -> None:
    assert not [each for each in psutil.process_iter(["cmdline"]) if f"6{LIMIT}.19" in (each.info["cmdline"] or [])]
    assert json.loads((searched.folder / "run" / "summary.json").read_text())
