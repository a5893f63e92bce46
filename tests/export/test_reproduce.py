"""`merge.json` makes the weights again bit for bit, or says why it cannot."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ama_ray.api import Run
from ama_ray.checkpoints.adapter_settings import CONFIG
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from ama_ray.export import reproduce
from ama_ray.export.merge_file import MergeFile
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import LORA, edit, edit_weights, make_pair, stored, write_adapter
from tests.support.wrappers import make_wrapper_pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runs import MakeRun

FORMS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"dtype": torch.bfloat16},
    "tied": {"tied": True},
    "several files": {"max_shard_size": "50KB"},
    "mixtral": {"architecture": "mixtral"},
}


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}


@pytest.mark.parametrize("form", FORMS)
def test_the_weights_are_made_again_bit_for_bit(form: str, make_export_run: MakeRun, tmp_path: Path) -> None:
    run = make_export_run(layers=3, **FORMS[form])
    first = Run.open(run).export(3, tmp_path / "first")
    # Neither the run nor its search space is needed.
    shutil.rmtree(run)
    again = reproduce(first / "merge.json", tmp_path / "again")
    files = json.loads((first / "merge.json").read_text())["files"]
    assert digests(again) == digests(first) == {name: files[name] for name in files if name.endswith(".safetensors")}
    assert len(digests(first)) > (2 if form == "several files" else 0)
    written = {path.name: path.read_bytes() for path in first.iterdir()}
    assert {path.name: path.read_bytes() for path in again.iterdir()} == written
    assert written.keys() >= {"README.md", "merge.json", "mergekit.yaml", "config.json", "tokenizer.json"}


def test_so_are_those_of_a_model_of_text_and_images(make_export_run: MakeRun, tmp_path: Path) -> None:
    """Its towers are as the run file says, and its processor is there."""
    base, aligned = make_wrapper_pair(tmp_path / "pair", "gemma3")
    run = make_export_run((base, aligned))
    (run / "run.yaml").write_text((run / "run.yaml").read_text().replace("towers: aligned", "towers: average"))
    first = Run.open(run).export(3, tmp_path / "first")
    name = "multi_modal_projector.mm_input_projection_weight"
    middle = (stored(base)[name].double() + stored(aligned)[name].double()) / 2
    torch.testing.assert_close(stored(first)[name].double(), middle, rtol=1e-6, atol=1e-7)
    assert {path.name for path in aligned.iterdir()} <= {path.name for path in first.iterdir()}
    assert digests(reproduce(first / "merge.json", tmp_path / "again")) == digests(first)
    assert not (first / "mergekit.yaml").exists()


def test_so_are_those_of_an_adapter(make_export_run: MakeRun, tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path / "pair", layers=2, dtype=torch.bfloat16)
    write_adapter(base, tmp_path / "adapter", **LORA)
    first = Run.open(make_export_run((base, tmp_path / "adapter"))).export(3, tmp_path / "first")
    again = reproduce(first / "merge.json", tmp_path / "again")
    assert digests(again) == digests(first)
    assert MergeFile.load(first / "merge.json").parents[1].adapter

    edit(tmp_path / "adapter" / CONFIG, lambda fields: fields.update(lora_alpha=7))
    with pytest.raises(UserError, match=r"adapter: not the aligned that .*merge\.json was made of"):
        reproduce(first / "merge.json", tmp_path / "other")


def test_an_export_is_the_average_that_the_run_asked_for(make_export_run: MakeRun, tmp_path: Path) -> None:
    run = make_export_run(layers=2)
    opened = Run.open(run)
    out = opened.export("knee", tmp_path / "out")
    base, aligned, merged = (stored(tmp_path / folder) for folder in ("pair/base", "pair/aligned", "out"))
    groups = SearchSpace.load("per-layer").resolve(tuple(aligned))
    expected = groups.shares_of(opened.pick("knee").ratios)
    assert MergeFile.load(out / "merge.json").shares_of == expected
    for name, tensor in merged.items():
        (ratio,) = expected[name]
        exact = (1 - ratio) * base[name].double() + ratio * aligned[name].double()
        torch.testing.assert_close(tensor, exact.float(), rtol=1e-6, atol=1e-7)


def test_parents_may_lie_elsewhere_and_in_other_files_but_hold_the_same_values(
    make_export_run: MakeRun, tmp_path: Path
) -> None:
    first = Run.open(make_export_run(layers=2)).export(3, tmp_path / "first")
    file = first / "merge.json"
    for name in ("base", "aligned"):
        (tmp_path / "pair" / name).rename(tmp_path / name)
    with pytest.raises(UserError, match="base: base is not here; name its folder or hub id with --base"):
        reproduce(file, tmp_path / "again")
    base, aligned = str(tmp_path / "base"), str(tmp_path / "aligned")
    assert digests(reproduce(file, tmp_path / "again", base, [aligned])) == digests(first)
    moved = MergeFile.load(tmp_path / "again" / "merge.json")
    assert [parent.source for parent in moved.parents] == [base, aligned]
    with pytest.raises(UserError, match=r"aligned: not the base that .*, as the checksums of their values differ"):
        reproduce(file, tmp_path / "swapped", aligned, [base])
    edit_weights(tmp_path / "aligned", lambda tensors: tensors["model.norm.weight"].add_(1e-3))
    with pytest.raises(UserError, match="not the aligned that"):
        reproduce(file, tmp_path / "other", base, [aligned])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("swapped", "other", "."))]


def test_checksums_do_not_depend_on_the_files(tmp_path: Path) -> None:
    whole = make_pair(tmp_path / "whole", layers=2)
    cut = make_pair(tmp_path / "cut", layers=2, max_shard_size="50KB")
    one, two, mixed = (Pair.open(*map(str, pair)) for pair in (whole, cut, (whole[0], cut[1])))
    assert one.checksums == two.checksums == mixed.checksums
    assert one.checksums[0] != one.checksums[1]


def test_what_comes_out_otherwise_is_not_kept(make_export_run: MakeRun, tmp_path: Path) -> None:
    first = Run.open(make_export_run(layers=2)).export(3, tmp_path / "first")
    file = tmp_path / "merge.json"
    file.write_text((first / "merge.json").read_text())
    edit(file, lambda fields: fields["files"].update({"model.safetensors": "0"}))
    with pytest.raises(UserError, match=r"model\.safetensors has another SHA-256 than merge\.json says.* torch "):
        reproduce(file, tmp_path / "again")
    edit(file, lambda fields: fields.update(files={"model-00001-of-00002.safetensors": "0"}))
    with pytest.raises(UserError, match="aligned is cut otherwise"):
        reproduce(file, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".again*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fields: fields.update(version=4), "version: this is 4 and must be one of 1, 2, 3"),
        (lambda fields: fields.pop("groups"), "groups: this field is missing"),
        (lambda fields: fields.update(seed=1), "seed: there is no such field"),
        (
            lambda fields: fields["groups"][0].update(ratio=-0.1),
            r"groups\.0\.ratio: this is -0.1 and must be a number, at least 0",
        ),
        (lambda fields: fields["groups"][1].update(tensors=fields["groups"][0]["tensors"]), "is in two groups"),
    ],
)
def test_a_file_that_is_off_is_one_sentence(change: Any, words: str, make_export_run: MakeRun, tmp_path: Path) -> None:
    file = Run.open(make_export_run(layers=1)).export("base", tmp_path / "first") / "merge.json"
    edit(file, change)
    with pytest.raises(UserError, match=rf"merge\.json: not a merge\.json of this version: .*{words}"):
        reproduce(file, tmp_path / "again")


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: cannot be read \(No such file"):
        reproduce(tmp_path / "none.json", tmp_path / "again")
    (tmp_path / "none.json").write_bytes(b"\xff")
    with pytest.raises(UserError, match="it is no text"):
        reproduce(tmp_path / "none.json", tmp_path / "again")
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(UserError, match=r"not a merge\.json"):
        reproduce(tmp_path / "none.json", tmp_path / "again")


def test_a_pair_that_is_no_longer_the_run_s_is_refused(make_export_run: MakeRun, tmp_path: Path) -> None:
    run = make_export_run(layers=2)
    edit_weights(tmp_path / "pair" / "aligned", lambda tensors: next(iter(tensors.values())).add_(1.0))
    with pytest.raises(UserError, match=r"not those that .*run was searched with, by its identity\.json"):
        Run.open(run).export(3, tmp_path / "out")
    assert not (tmp_path / "out").exists()
