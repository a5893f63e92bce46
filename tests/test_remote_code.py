"""No code of a checkpoint is run, whatever it asks for and whatever is answered for it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ama_ray
from testing.checkpoints import edit, make_pair

LOADERS = {"from_pretrained", "from_config", "LLM", "AsyncEngineArgs", "EngineArgs"}
PACKAGE = Path(ama_ray.__file__).parent
CLASS = """
from pathlib import Path
from transformers import PreTrainedTokenizerFast
Path({trace!r}).touch()
class Own(PreTrainedTokenizerFast):
    pass
"""


def loading_calls() -> list[tuple[str, ast.Call]]:
    """Every call in the package by which transformers or vLLM loads something of a checkpoint; not the recipe's own."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        if "recipe" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                own = name == "from_config" and ast.unparse(node.func).startswith("TrialSpec.")
                if name in LOADERS and not own:
                    found.append((f"{file.relative_to(PACKAGE)}:{node.lineno}", node))
    return found


def refuses_code(call: ast.Call) -> bool:
    """Whether the call says so itself, or passes on the arguments of `engine_arguments`, which say so."""
    for keyword in call.keywords:
        if keyword.arg == "trust_remote_code":
            return isinstance(keyword.value, ast.Constant) and keyword.value.value is False
    return any(keyword.arg is None and "arguments" in ast.unparse(keyword.value) for keyword in call.keywords)


def test_every_loader_is_told_to_run_no_code() -> None:
    calls = loading_calls()
    assert len(calls) > 8
    assert not [where for where, call in calls if not refuses_code(call)]


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """A sound pair, whose tokenizer then asks for a class that comes with the checkpoint."""
    trace = tmp_path / "trace"
    for folder in make_pair(tmp_path):
        (folder / "own.py").write_text(CLASS.format(trace=str(trace)))
        edit(
            folder / "tokenizer_config.json",
            lambda fields: fields.update(tokenizer_class="Own", auto_map={"AutoTokenizer": [None, "own.Own"]}),
        )
    (tmp_path / "facts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"w{i}", "answer": "w"}) + "\n" for i in range(40))
    )
    (tmp_path / "reward.py").write_text("def score(rows, replies):\n    return [0.0] * len(replies)\n")
    fields = {
        "base": "./base",
        "aligned": "./aligned",
        "reward": {"kind": "function", "prompts": {"file": "facts.jsonl"}, "scorer": "reward.py:score"},
        "tax": [{"name": "facts", "family": "knowledge", "kind": "exact", "file": "facts.jsonl"}],
        "out": "out",
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(fields))
    return tmp_path / "run.yaml"


@pytest.mark.long
def test_a_yes_on_the_standard_input_runs_nothing(run_file: Path) -> None:
    command = [sys.executable, "-m", "ama_ray.cli", "check", str(run_file)]
    ended = subprocess.run(command, input="y\n" * 20, capture_output=True, text=True, timeout=300, check=False)
    assert "[y/N]" not in ended.stdout + ended.stderr
    assert not (run_file.parent / "trace").exists()
    assert ended.returncode in (0, 2)
    if ended.returncode:
        assert ended.stderr.startswith("error: ")
        assert "Traceback" not in ended.stderr
