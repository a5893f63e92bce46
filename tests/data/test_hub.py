"""Datasets in place of files of rows: `datasets` reads folders of parquet as it reads the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from datasets import Dataset

from ama_ray.config import RunConfig
from ama_ray.config.data import HubDataset, Source
from ama_ray.data import splits
from ama_ray.data.hub import read_rows
from ama_ray.errors import UserError
from ama_ray.evaluation.terms import on_test_split

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = [{"question": f"train {n}?", "answer": [str(n)]} for n in range(40)]
TEST = [{"question": f"test {n}?", "answer": [str(n)]} for n in range(10)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    made = tmp_path / "questions"
    made.mkdir()
    for split, rows in (("train", TRAIN), ("test", TEST)):
        Dataset.from_list(rows).to_parquet(made / f"{split}.parquet")
    return made


def run_file(folder: Path, file: Any, **prompts: Any) -> RunConfig:
    fields = {
        "base": "org/base",
        "aligned": "org/aligned",
        "reward": {"kind": "function", "prompts": {"file": file, **prompts}, "scorer": "reward.py:score"},
        "tax": [{"name": "facts", "family": "knowledge", "kind": "exact", "file": file}],
        "out": "out",
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(fields))
    return RunConfig.load(path)


def test_the_rows_of_a_split_are_read_in_order(folder: Path) -> None:
    rows = read_rows(HubDataset(dataset=str(folder)))
    assert [row.fields for row in rows] == TRAIN
    assert rows[2].where == f"{folder}, train, row 3"
    assert [row.fields for row in read_rows(HubDataset(dataset=str(folder), split="test[2:4]"))] == TEST[2:4]


def test_items_are_divided_as_those_of_a_file_are(folder: Path, tmp_path: Path) -> None:
    dataset = Source(file=HubDataset(dataset=str(folder)), items=9)
    Dataset.from_list(TRAIN).to_json(tmp_path / "train.jsonl")
    file = Source(file=tmp_path / "train.jsonl", items=9)
    found, same = (splits.load(source, 0.5) for source in (dataset, file))
    assert [row.fields for row in found.search] == [row.fields for row in same.search]
    assert [row.fields for row in found.report] == [row.fields for row in same.report]
    assert len(found.search) == 9
    both = Source(file=dataset.file, report_file=HubDataset(dataset=str(folder), split="test"))
    assert [row.fields for row in splits.load(both, 0.5).report] == TEST


def test_a_run_file_names_a_folder_beside_it_and_keeps_what_it_says(folder: Path) -> None:
    config = run_file(folder.parent, {"dataset": "questions", "split": "train", "revision": "v1"})
    prompts = config.replies_rewards[0].prompts
    assert prompts.file == HubDataset(dataset=str(folder), split="train", revision="v1")
    assert RunConfig.parse(yaml.safe_load(config.to_yaml()), "again") == config
    assert run_file(folder.parent, {"dataset": "org/name"}).replies_rewards[0].prompts.file == HubDataset(
        dataset="org/name"
    )


@pytest.mark.parametrize(
    ("split", "is_test"), [("train", False), ("test", True), ("test[:5]", True), ("latest", False)]
)
def test_the_name_of_a_split_says_whether_it_is_a_test_split(folder: Path, split: str, is_test: bool) -> None:
    refused = on_test_split(run_file(folder.parent, {"dataset": "questions", "split": split}))
    assert refused == (("reward", "facts") if is_test else ())


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"dataset": "a/b", "splt": "train"}, "reward.prompts.file.splt: there is no such field; did you mean split?"),
        ({"split": "train"}, "reward.prompts.file.dataset: this field is missing"),
        ({"dataset": "a/b", "split": 7}, "reward.prompts.file.split: this is 7 and must be text"),
        (7, "reward.prompts.file: this is 7 and must be a path"),
    ],
)
def test_a_mistake_is_told_by_its_field(tmp_path: Path, file: Any, words: str) -> None:
    with pytest.raises(UserError) as error:
        run_file(tmp_path, file)
    assert words in str(error.value)
    assert words.replace("reward.prompts", "tax.0") in str(error.value)


def test_what_cannot_be_read_is_one_sentence_with_dataset_and_split(folder: Path) -> None:
    with pytest.raises(UserError, match=rf"^{folder}, validation: this dataset cannot be fetched .*name a local copy"):
        read_rows(HubDataset(dataset=str(folder), split="validation"))
    with pytest.raises(UserError, match=r"questions, train\[:0\]: .*corresponds to no data"):
        read_rows(HubDataset(dataset=str(folder), split="train[:0]"))
    pictures = folder.parent / "pictures"
    pictures.mkdir()
    Dataset.from_dict({"prompt": [b"\x00"]}).to_parquet(pictures / "train.parquet")
    with pytest.raises(UserError, match=r"train, row 1: rows are texts, finite numbers, lists and mappings"):
        read_rows(HubDataset(dataset=str(pictures)))
