"""Operators on differences that make no sense: one sentence from the command line, and exit code 2."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ama_ray.cli import main
from testing.checkpoints import make_pair
from tests.support.runs import FIELDS

if TYPE_CHECKING:
    from pathlib import Path

TWO = ["org/chat", "org/math"]
DARE = {"kind": "dare", "keep": 0.5}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "all but nothing kept": ({"delta": {"keep": 0}}, "delta.keep: this is 0 and must be a number, above 0, at most 1"),
    "more than all kept": ({"delta": {"keep": 1.5}}, "delta.keep: this is 1.5 and must be a number, above 0"),
    "a share in words": ({"delta": {"keep": "half"}}, 'delta.keep: this is "half" and must be a number'),
    "no share": ({"delta": {"rescale": True}}, "delta: trim needs the share that is kept; add one, as keep: 0.3"),
    "nothing": ({"delta": {}}, "delta: trim needs the share that is kept"),
    "a number": ({"delta": 0.3}, "delta: this is 0.3 and must be a mapping with the fields kind, keep"),
    "ties of one model": ({"delta": "ties"}, "delta: ties joins several aligned models, and there is one"),
    "a mixture of one": ({"delta": "ties", "aligned": TWO, "mix": "free"}, "mix: delta: ties makes one"),
    "unknown operator": (
        {"delta": {"kind": "magic", "keep": 0.5}},
        'delta.kind: this is "magic" and must be one of trim, ties, dare',
    ),
    "a word": (
        {"delta": "dares"},
        "delta: there is no operator 'dares'; there are trim, ties, dare; did you mean dare?",
    ),
    "unknown field": ({"delta": {"keep": 0.5, "density": 1}}, "delta.density: there is no such field"),
    "dare without a seed": ({"delta": DARE}, "delta: dare draws at random; add a seed, as seed: 0"),
    "a negative seed": (
        {"delta": DARE | {"seed": -1}},
        "delta.seed: this is -1 and must be a whole number, at least 0",
    ),
    "a seed in words": ({"delta": DARE | {"seed": "now"}}, 'delta.seed: this is "now" and must be a whole number'),
    "a seed for nothing": ({"delta": {"keep": 0.5, "seed": 1}}, "delta: trim draws nothing at random; leave seed out"),
    "rescaled twice": ({"delta": DARE | {"seed": 1, "rescale": True}}, "delta: rescale is for trim"),
    "a server": (
        {"delta": {"keep": 0.5}, "engine": {"url": "http://here:1"}},
        "engine.url: servers hold aligned as it is stored",
    ),
    "distillation": (
        {"delta": {"keep": 0.5}, "warm_start": ["distill"]},
        "warm_start: distill is for aligned as it is stored",
    ),
}


def check(fields: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(FIELDS | {"out": "out"} | fields))
    monkeypatch.setattr(sys, "argv", ["ama-ray", "check", str(path)])
    with pytest.raises(SystemExit) as ended:
        main.app()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_operator_is_one_sentence_and_exit_code_2(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fields, words = BAD[name]
    assert check(fields, tmp_path, monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error


def test_what_leaves_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base, aligned = map(str, make_pair(tmp_path, layers=1))
    fields = {"base": base, "aligned": aligned, "delta": DARE | {"keep": 1e-9, "seed": 0}, "space": "uniform"}
    assert check(fields, tmp_path, monkeypatch) == 2
    assert "leaves nothing of the difference between" in capsys.readouterr().err
