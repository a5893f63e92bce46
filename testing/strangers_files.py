"""One file of every kind that a stranger may hand over, as it should be, and what reads it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from ama_ray.checkpoints.adapter_settings import read_settings
from ama_ray.checkpoints.checkpoint import read_tensors
from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.vocabulary import Vocabulary
from ama_ray.checkpoints.weight_files import INDEX, SINGLE
from ama_ray.config import RunConfig
from ama_ray.data.rows import read_jsonl
from ama_ray.export.merge_file import Group, MergeFile, Parent
from ama_ray.jobs import archive
from ama_ray.scores.item_text import ItemText
from ama_ray.scores.trial import KeptReply
from ama_ray.space.parametrization import parametrization
from ama_ray.space.search_space import SearchSpace
from ama_ray.storage.identity import read_identity, write_identity
from ama_ray.storage.item_store import ItemStore
from ama_ray.storage.item_texts import ItemTexts
from ama_ray.storage.names import IDENTITY, JOURNAL, OBJECTIVES, REPLIES, RUN, SUMMARY, TRIALS
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import ReplyStore, read_trials
from ama_ray.storage.run_folder import RunFolder, finished
from ama_ray.tuning.study import open_study, place
from ama_ray.tuning.study_check import check_study
from ama_ray.tuning.suggester import StudySuggester
from testing.checkpoints import LORA, make_pair
from testing.made_up_run import GROUPS, make_run

if TYPE_CHECKING:
    from collections.abc import Callable


STUDY = "mine"
ITEMS, MERGE, PARCEL, SPACE, ROWS = "items/search/3.npz", "merge.json", "parcel.zip", "space.yaml", "rows.jsonl"
ASKED, ANSWERED = "texts/items.jsonl", "texts/3.jsonl"
CONFIG, TOKENIZER, ADAPTER = "config.json", "tokenizer.json", "adapter_config.json"
SPACES = Path(__file__).parents[1] / "search_spaces"
SEARCHED = 5
ENDED: Any = SimpleNamespace(trials=SEARCHED, stop=None, unclear_trade="stop")
"""What is asked of a run file, of which a run has ended."""
SHAPE = parametrization(dict.fromkeys(GROUPS, (0.0, 1.0)), None)


def _take_up(folder: Path) -> StudySuggester:
    """The study of a run with its trials, as a search goes on with it."""
    trials, objectives = read_trials(folder / TRIALS), ObjectivesFile.read(folder).objectives
    run = RunFolder(folder, STUDY, tuple(trials))
    study = open_study(run, None, objectives.names, optuna.samplers.RandomSampler(seed=0))
    check_study(study, place(run, None), trials, objectives.names, SHAPE)
    return StudySuggester(SHAPE, objectives, study, (), finished=trials)


READERS: dict[str, Callable[[Path], Any]] = {
    RUN: lambda folder: RunConfig.load(folder / RUN),
    IDENTITY: read_identity,
    OBJECTIVES: ObjectivesFile.read,
    TRIALS: lambda folder: read_trials(folder / TRIALS),
    REPLIES: lambda folder: ReplyStore(folder / REPLIES).read(),
    ASKED: lambda folder: ItemTexts(folder / "texts").read_items(),
    ANSWERED: lambda folder: ItemTexts(folder / "texts").read_answers(3),
    SUMMARY: lambda folder: finished(folder, SEARCHED, ENDED),
    JOURNAL: _take_up,
    ITEMS: lambda folder: ItemStore(folder / "items", ("reward",)).read("search", 3),
    MERGE: lambda folder: MergeFile.load(folder / MERGE),
    PARCEL: lambda folder: archive.unpack((folder / PARCEL).open("rb"), folder / "here", 10_000),
    SPACE: lambda folder: SearchSpace.load(str(folder / SPACE)),
    ROWS: lambda folder: read_jsonl(folder / ROWS),
    CONFIG: read_config,
    SINGLE: lambda folder: read_tensors(str(folder)),
    INDEX: lambda folder: read_tensors(str(folder)),
    TOKENIZER: Vocabulary.read,
    ADAPTER: lambda folder: read_settings(folder / ADAPTER),
}
"""What reads each file, of the folder that it lies in with the others."""


def write_all(folder: Path) -> None:
    """Writes every file as it should be.

    Args:
        folder: To be made.
    """
    make_run(folder)
    write_identity(folder, STUDY, {"base and aligned": "ab" * 32})
    ReplyStore(folder / REPLIES).write(2, [KeptReply("hi", "hello \u2028 ."), KeptReply("ho", "\x1b]52;c;eA==\x07")])
    ItemTexts(folder / "texts").write_items({"facts": [ItemText("a?", "b"), ItemText("\x1b]52;c;eA==\x07")]})
    ItemTexts(folder / "texts").write_answers(3, {"facts": ["hello \u2028 .", ""]})
    _write(folder / SUMMARY, {"trials": SEARCHED, "ended": "", "interrupted": False, "versions": {"torch": "2"}})
    ItemStore(folder / "items").write("search", 3, {"reward": np.ones((4, 2)), "facts": np.eye(3)})
    parents = Parent(source="org/base", checksum="a" * 64), Parent(source="org/aligned", checksum="b" * 64)
    groups = (Group(name="all", ratio=0.5, tensors=("x", "y")),)
    merge = MergeFile(base=parents[0], aligned=parents[1], dtype="float32", groups=groups, made_with={"torch": "2"})
    merge.save(folder / MERGE)
    with zipfile.ZipFile(folder / PARCEL, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in (IDENTITY, TRIALS, ITEMS):
            packed.write(folder / name, name)
    shutil.copy(SPACES / "per-layer.yaml", folder / SPACE)
    rows = '{"prompt": "hi", "answers": ["a \\u00e9", "b"]}\n\n{"prompt": "ho", "n": [1.5e3, null]}\n'
    (folder / ROWS).write_text(rows, encoding="utf-8")
    base, _ = make_pair(folder / "pair", layers=1)
    for name in (CONFIG, SINGLE, TOKENIZER):
        shutil.move(base / name, folder / name)
    shutil.rmtree(folder / "pair")
    _write(folder / INDEX, {"metadata": {}, "weight_map": dict.fromkeys(read_tensors(str(folder)), SINGLE)})
    _write(folder / ADAPTER, LORA | {"peft_type": "LORA", "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v": 16}})
    _take_up(folder)  # writes the journal
    for name, read in READERS.items():
        read(folder)  # no error
        assert (folder / name).stat().st_size


def _write(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=2), encoding="utf-8")
