"""Several aligned models that make no sense: one sentence each, exit code 2, and nothing is started."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ama_ray.cli import main
from testing.checkpoints import edit, make_pair
from testing.several import NAMES, make_several
from tests.support.files import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.command import Command

    Spoil = Callable[[Path, dict[str, Any]], object]

FACTS = "\n".join(json.dumps({"prompt": f"w{n}", "choices": ["w8", "w7"], "gold": 0}) for n in range(10, 30))
PROMPTS = "\n".join(json.dumps({"prompt": f"w5 w{n}"}) for n in range(10, 30))
TOKEN = {"id": 299, "content": "<x>", "special": True} | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)


def same_weights(folder: Path, fields: dict[str, Any]) -> None:
    shutil.copyfile(folder / "chat" / "model.safetensors", folder / "code" / "model.safetensors")


def another_base(folder: Path, fields: dict[str, Any]) -> None:
    """The same architecture with a layer more."""
    _, aligned = make_pair(folder / "other", layers=2)
    shutil.rmtree(folder / "code")
    aligned.rename(folder / "code")


def another_tokenizer(folder: Path, fields: dict[str, Any]) -> None:
    edit(folder / "math" / "tokenizer.json", lambda f: f["added_tokens"].append(TOKEN | {"normalized": False}))


def no_weights(folder: Path, fields: dict[str, Any]) -> None:
    (folder / "math" / "model.safetensors").unlink()


def listed(*models: Any) -> Spoil:
    return lambda folder, fields: fields.update(aligned=[*models])


def fields(**changes: Any) -> Spoil:
    return lambda folder, found: found.update(changes)


BAD: dict[str, tuple[Spoil, str]] = {
    "two that are the same": (same_weights, "all tensors that are searched are equal in these two aligned models"),
    "one of another base": (another_base, "num_hidden_layers in config.json differs"),
    "another tokenizer": (another_tokenizer, "their tokenizers differ, first in the token '<x>' (id None and 299)"),
    "no weights": (no_weights, "math: there are no weights here; model.safetensors or its shards are needed"),
    "a revision that there is not": (
        listed("./chat", {"path": "org/none", "revision": "step-7"}),
        "org/none@step-7: ",
    ),
    "a revision of a folder": (
        listed("./chat", {"path": "./math", "revision": "step-7"}),
        "a `revision` goes with the id of a model on the hub",
    ),
    "steps that match nothing": (fields(aligned={"steps": "run/checkpoint-*"}), "run/checkpoint-*; check the pattern"),
    "one name twice": (
        listed({"path": "./chat", "name": "a"}, {"path": "./math", "name": "a"}),
        "two aligned models are called 'a'; give each a `name` of its own",
    ),
    "one path twice": (listed("./chat", "./math", "./chat"), "chat is named twice; name each aligned model once"),
    "a name with a space": (
        listed("./chat", {"path": "./math", "name": "my math"}),
        'aligned: 1.name: this is "my math" and must be a name of letters, digits, _, -, .',
    ),
    "the name of a point": (
        listed("./chat", {"path": "./math", "name": "knee"}),
        "an aligned model called 'knee' could be taken for a point of a run; give it another `name`",
    ),
    "the name of a way": (
        listed({"path": "./chat", "name": "lr"}, {"path": "./math", "name": "lr-0.1"}),
        "an aligned model called 'lr-0.1' could be taken for a point of a run",
    ),
    "another mix": (fields(mix="cube"), 'mix: this is "cube" and must be one of simplex, free'),
    "a range on the simplex": (
        fields(space={"groups": [{"name": "all", "tensors": ["*"], "range": [0, 1.3]}]}),
        "space: range: with mix: simplex, shares are 0 or more with a sum of at most 1",
    ),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    make_several(folder, layers=1)
    return folder


@pytest.fixture
def check(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Spoil], int]:
    """Spoils a sound run with three aligned models, and checks it; returns the exit code."""
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    found: dict[str, Any] = {
        "base": "./base",
        "aligned": [f"./{name}" for name in NAMES],
        "reward": {"kind": "function", "prompts": {"file": "prompts.jsonl"}, "scorer": "reward.py:score"},
        "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"}],
        "out": "out",
    }
    write(tmp_path / "facts.jsonl", FACTS)
    write(tmp_path / "prompts.jsonl", PROMPTS)
    write(tmp_path / "reward.py", "def score(rows, replies):\n    return [0.0] * len(replies)\n")
    monkeypatch.setattr("ray.init", lambda *args, **kwargs: pytest.fail("Ray was started"))

    def spoilt(spoil: Spoil) -> int:
        spoil(tmp_path, found)
        capsys.readouterr()  # what transformers shows when it writes a model
        run = write(tmp_path / "run.yaml", yaml.safe_dump(found))
        monkeypatch.setattr(sys, "argv", ["ama-ray", "check", str(run)])
        with pytest.raises(SystemExit) as ended:
            main.app()
        return int(ended.value.code or 0)

    return spoilt


def test_the_run_is_sound_before_it_is_spoilt(check: Callable[[Spoil], int]) -> None:
    assert check(fields()) == 0


@pytest.mark.parametrize("name", BAD)
def test_it_is_one_sentence_and_exit_code_2(
    name: str, check: Callable[[Spoil], int], capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, words = BAD[name]
    assert check(spoil) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert words in error


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        ([0.2, -0.1, 0.3], "ratio.1: this is -0.1 and must be a number, at least 0"),
        ([0.2, 0.1, 2.5], "ratio.2: this is 2.5 and must be a number, at least 0, at most 2"),
        ([0.2, 0.1], "needs a share for each of the 3 aligned models"),
    ],
    ids=["below 0", "beyond 2", "too few"],
)
def test_a_recipe_with_shares_that_no_mix_has_is_refused(
    ratio: list[float], words: str, run: Command, tmp_path: Path
) -> None:
    """Shares whose sum is above 1 are those of `mix: free`."""
    parents = [{"source": f"org/{name}", "checksum": "1"} for name in ("base", *NAMES)]
    recipe = {
        "version": 2,
        "base": parents[0],
        "aligned": parents[1:],
        "dtype": "float32",
        "groups": [{"name": "all", "ratio": ratio, "tensors": ["a"]}],
        "made_with": {},
    }
    file = write(tmp_path / "merge.json", json.dumps(recipe))
    done = run("export", "--from", file, "-o", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert words in done.err
    assert not (tmp_path / "out").exists()
