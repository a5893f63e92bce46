"""Presets as a run file names them: what they are called, their splits, their examples, the hub."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.data import splits
from ama_ray.errors import UserError
from ama_ray.probes.presets import registry as presets
from ama_ray.probes.presets.registry import PRESETS
from tests.support.preset_rows import HUB_ROWS, probe, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.data.rows import Row

ISSUE = (
    "arc_easy arc_challenge race piqa boolq squad drop wmt14_fr_en hellaswag winogrande openbookqa copa mmlu gsm8k "
    "truthfulqa_mc math math500 humaneval mbpp"
)


def gsm8k(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"question": f"{n} + 2?", "answer": f"#### {n + 2}"} for n in range(start, start + count)]


def questions(rows: tuple[Row, ...]) -> set[str]:
    return {splits.question(row) for row in rows}


def on_the_hub(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, **splits: list[dict[str, Any]]) -> None:
    """Puts a folder of JSON lines, which `datasets` reads as it reads the hub, in the place of a preset's dataset."""
    for split, rows in splits.items():
        write_jsonl(folder / f"{split}.jsonl", rows)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
    hub = replace(PRESETS[name].hub, path=str(folder), name=None)
    monkeypatch.setitem(PRESETS, name, replace(PRESETS[name], hub=hub))


def test_presets_are_those_of_the_issue() -> None:
    assert set(PRESETS) == set(ISSUE.split())
    assert set(HUB_ROWS) == set(PRESETS)


def test_families_are_those_of_the_paper() -> None:
    families = {
        "common-sense": ("arc_easy", "arc_challenge", "race", "piqa"),
        "reading": ("squad", "drop"),
        "translation": ("wmt14_fr_en",),
    }
    for family, names in families.items():
        assert [presets.name_and_family(probe(name)) for name in names] == [(name, family) for name in names]


def test_name_and_family_of_the_run_file_come_first() -> None:
    assert presets.name_and_family(probe("piqa", name="mine", family="other")) == ("mine", "other")


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    for ask in (presets.kind, presets.name_and_family, presets.uses_test_split, lambda p: presets.load(p, 0.5)):
        with pytest.raises(UserError, match=r"there is no 'arc'; the presets are arc_challenge, arc_easy, .*\.$"):
            ask(probe("arc"))


def test_opening_a_run_file_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ama_ray.config import PresetProbe; from ama_ray.probes.presets import registry as presets;"
        "presets.kind(PresetProbe(preset='piqa')); presets.uses_test_split(PresetProbe(preset='piqa'));"
        "print([name for name in ('torch', 'datasets', 'vllm', 'ray', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_files_are_the_two_splits(tmp_path: Path) -> None:
    search, report = (write_jsonl(tmp_path / f"{i}.jsonl", gsm8k(3, 10 * i)) for i in (1, 2))
    halves = presets.load(probe("gsm8k", search, report_file=report), 0.5).halves
    assert [row.fields["prompt"] for row in halves.search] == [f"Question: {n} + 2?\nAnswer:" for n in (10, 11, 12)]
    assert [row.fields["prompt"] for row in halves.report] == [f"Question: {n} + 2?\nAnswer:" for n in (20, 21, 22)]
    with pytest.raises(UserError, match="is in the search split too"):
        presets.load(probe("gsm8k", search, report_file=search), 0.5)


def test_a_report_file_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"report\.jsonl: a report_file needs a file"):
        presets.load(probe("gsm8k", report_file=tmp_path / "report.jsonl"), 0.5)


def test_items_limits_each_split(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "rows.jsonl", gsm8k(100))
    halves = presets.load(probe("gsm8k", file, items=7), 0.5).halves
    assert (len(halves.search), len(halves.report)) == (7, 7)


def test_one_split_of_the_hub_is_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"goal": f"Goal {n}", "sol1": "a", "sol2": "b", "label": n % 2} for n in range(100)]
    on_the_hub(tmp_path, "piqa", monkeypatch, validation=rows, train=rows[:1])
    halves = presets.load(probe("piqa"), 0.3).halves
    assert len(halves.search) + len(halves.report) == 100
    assert 15 <= len(halves.report) <= 45
    assert not questions(halves.search) & questions(halves.report)
    local = presets.load(probe("piqa", tmp_path / "validation.jsonl"), 0.3).halves
    assert [row.fields for row in halves.search] == [row.fields for row in local.search]
    assert halves.search[0].where.startswith(f"{tmp_path}, validation, row ")


def test_two_splits_of_the_hub_are_the_two_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What both splits ask is left to the report split."""
    on_the_hub(tmp_path, "gsm8k", monkeypatch, train=gsm8k(20), test=gsm8k(10, 15))
    halves = presets.load(probe("gsm8k"), 0.5).halves
    assert (len(halves.search), len(halves.report)) == (15, 10)
    assert not questions(halves.search) & questions(halves.report)


def test_examples_of_a_split_that_has_the_search_items_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_hub(tmp_path, "gsm8k", monkeypatch, train=gsm8k(1000), test=gsm8k(10, 2000))
    loaded = presets.load(probe("gsm8k", few_shot={"n": 5}), 0.5)
    assert 20 < len(loaded.examples) < 90
    assert len(loaded.halves.search) + len(loaded.examples) == 1000
    assert not questions(loaded.examples) & questions((*loaded.halves.search, *loaded.halves.report))


def test_examples_of_another_split_and_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"goal": f"Goal {n}", "sol1": "a", "sol2": "b", "label": n % 2} for n in range(40)]
    on_the_hub(tmp_path, "piqa", monkeypatch, validation=rows[:30], train=rows[25:])
    loaded = presets.load(probe("piqa", few_shot={"n": 5}), 0.5)
    assert [row.fields["prompt"] for row in loaded.examples] == [f"Question: Goal {n}\nAnswer:" for n in range(30, 40)]
    file = write_jsonl(tmp_path / "shots.jsonl", rows[29:32])
    shots = presets.load(probe("piqa", few_shot={"n": 2, "file": file}), 0.5)
    assert [row.where for row in shots.examples] == [f"{file}, line 2", f"{file}, line 3"]
    with pytest.raises(UserError, match=r"preset piqa: few_shot.n is 3, but only 2 examples are no items"):
        presets.load(probe("piqa", few_shot={"n": 3, "file": file}), 0.5)
    assert presets.load(probe("piqa"), 0.5).examples == ()


def test_a_benchmark_without_examples_says_so(tmp_path: Path) -> None:
    rows = [row | {"question": f"{row['question']} {n}"} for n in range(10) for row in HUB_ROWS["truthfulqa_mc"]]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError, match=r"truthfulqa_mc: .* no split for examples; name a few_shot\.file"):
        presets.load(probe("truthfulqa_mc", file, few_shot={"n": 1}), 0.5)


def test_subjects_of_mmlu_need_enough_examples(tmp_path: Path) -> None:
    rows = [row | {"question": f"{row['question']} {n}"} for n in range(10) for row in HUB_ROWS["mmlu"]]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    shots = write_jsonl(tmp_path / "shots.jsonl", HUB_ROWS["mmlu"])
    with pytest.raises(UserError, match=r"few_shot.n is 5, but only 4"):
        presets.load(probe("mmlu", file, few_shot={"n": 5, "file": shots}), 0.5)
    others = write_jsonl(tmp_path / "others.jsonl", [row | {"subject": "anatomy"} for row in HUB_ROWS["mmlu"]])
    with pytest.raises(
        UserError, match=r"line \d+: 0 examples of the subject 'high_school_physics', but few_shot.n is 2"
    ):
        presets.load(probe("mmlu", file, few_shot={"n": 2, "file": others}), 0.5)


def test_a_dataset_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_hub(tmp_path, "gsm8k", monkeypatch, train=gsm8k(20))
    with pytest.raises(UserError, match=r"^[^\n]*, test: this dataset cannot be fetched.*`file:`\.$"):
        presets.load(probe("gsm8k"), 0.5)
    gone = replace(PRESETS["gsm8k"].hub, path=str(tmp_path / "gone"), name="main")
    monkeypatch.setitem(PRESETS, "gsm8k", replace(PRESETS["gsm8k"], hub=gone))
    with pytest.raises(UserError, match=r"gone main, train: this dataset cannot be fetched.*`file:`\.$"):
        presets.load(probe("gsm8k"), 0.5)


def test_streamed_rows_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"translation": {"fr": f"{n} chats", "en": f"{n} cats"}} for n in range(10)]
    on_the_hub(
        tmp_path, "wmt14_fr_en", monkeypatch, validation=rows, test=[{"translation": {"fr": "Oui.", "en": "Yes."}}]
    )
    halves = presets.load(probe("wmt14_fr_en"), 0.5).halves
    assert [row.fields["answer"] for row in halves.search] == [f"{n} cats" for n in range(10)]


@pytest.mark.parametrize("name", PRESETS)
def test_rows_of_the_hub_come_through_datasets_as_from_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = PRESETS[name].hub
    splits = dict.fromkeys((hub.search, hub.report or hub.search), HUB_ROWS[name])
    on_the_hub(tmp_path, name, monkeypatch, **splits)
    file = tmp_path / f"{hub.search}.jsonl"
    fetched = PRESETS[name].items(PRESETS[name].hub.rows(hub.search))
    assert [row.fields for row in fetched] == [row.fields for row in PRESETS[name].items(PRESETS[name].read(file))]
