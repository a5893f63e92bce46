"""`ama-ray verify`: what was changed in an export is found, by its checksums or by its parents."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ama_ray.api import Run
from ama_ray.export import verify
from ama_ray.export.write import digests
from testing.checkpoints import edit_weights, make_pair
from tests.support.hostile import one_sentence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.runs import MakeRun


@pytest.fixture
def export(make_export_run: MakeRun, tmp_path: Path) -> Path:
    base, aligned = make_pair(tmp_path / "pair", layers=2)
    return Run.open(make_export_run((base, aligned))).export(3, tmp_path / "merged")


def told(folder: Path, base: Path | None = None, aligned: Path | None = None) -> list[str]:
    lines: list[str] = []
    verify(folder, lines.append, str(base) if base else None, [str(aligned)] if aligned else ())
    return lines


def test_an_export_is_as_it_was_written(export: Path) -> None:
    assert told(export)[1] == "base and aligned give the same files"
    (export / "README.md").write_text("of my own")
    (export / ".gitattributes").write_text("")
    shutil.move(export.parent / "pair", export.parent / "moved")
    assert "not compared with its parents" in told(export)[1]
    assert "give --base a folder" in told(export, aligned=export.parent / "moved" / "aligned")[1]
    moved = export.parent / "moved"
    assert told(export, moved / "base", moved / "aligned")[1] == "base and aligned give the same files"


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of the weights": (lambda out: flip(out / "model.safetensors"), "model.safetensors: not as it was written"),
    "a byte of the configuration": (lambda out: flip(out / "config.json"), "config.json: not as it was written"),
    "a file is cut": (lambda out: os.truncate(out / "tokenizer.json", 100), "tokenizer.json: not as it was written"),
    "a file is gone": (lambda out: (out / "tokenizer.json").unlink(), "tokenizer.json: missing"),
    "code": (lambda out: (out / "modeling_x.py").write_text("1"), "modeling_x.py: not of the export"),
    "other weights": (lambda out: (out / "pytorch_model.bin").write_text("1"), "pytorch_model.bin: not of the export"),
    "a folder": (lambda out: shutil.copytree(out.parent / "pair", out / "x"), "not of the export"),
    "a pipe": (lambda out: os.mkfifo(out / "a.json"), "a.json: cannot be read"),
    "no recipe": (lambda out: (out / "merge.json").unlink(), "merge.json: cannot be read"),
    "half a recipe": (lambda out: os.truncate(out / "merge.json", 300), "merge.json: not a merge.json"),
}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named(export: Path, change: str) -> None:
    damage, words = CHANGES[change]
    damage(export)
    with one_sentence(words):
        verify(export, print)


def test_who_changes_the_recipe_too_is_found_by_the_parents(export: Path) -> None:
    """The checksums in the recipe are of nobody but who wrote it."""
    name = "model.norm.weight"
    edit_weights(export, lambda weights: weights.update({name: weights[name] + 1}))
    forge(export)
    with one_sentence("has another SHA-256"):
        verify(export, print)


def test_so_is_who_changes_a_file_beside_the_weights(export: Path) -> None:
    (export / "chat_template.jinja").write_text("{{ messages }}")
    forge(export)
    with one_sentence("chat_template.jinja: not what base and aligned give"):
        verify(export, print)


def forge(export: Path) -> None:
    recipe = json.loads((export / "merge.json").read_text())
    (export / "merge.json").write_text(json.dumps(recipe | {"files": digests(export)}))
