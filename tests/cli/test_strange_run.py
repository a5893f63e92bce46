"""A run folder from a stranger is looked at without any of the code that its run file names being run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ama_ray.evaluation.terms import objectives_of
from tests.support.runs import config_of, run_of, write_run
from tests.support.trials import five_trials

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

TASK = """
task: strange
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/rows.jsonl"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: !function strange.choices
doc_to_target: 0
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
CODE = """
from pathlib import Path

Path("{folder}/was-run").touch()


def choices(row):
    return ["a", "b"]
"""


def strange(folder: Path) -> dict[str, Any]:
    """The probe of the run."""
    return {"name": "arc", "family": "reasoning", "task": "strange", "include": folder}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with a task file, the Python function that it names, and a scorer: both leave a file once they run."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "strange.yaml").write_text(TASK.format(folder=folder))
    for name in ("strange.py", "score.py"):
        (folder / name).write_text(CODE.format(folder=folder))
    return folder


@pytest.fixture(params=["function", "command"])
def folder(code: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of the run."""
    rewards: dict[str, Any] = {
        "function": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": f"{code}/score.py:choices"},
        "command": {"kind": "command", "command": f"touch {code}/was-run"},
    }
    run = run_of(
        five_trials(),
        tmp_path / "run",
        reward=rewards[request.param],
        engine={"max_model_len": 64},
        tax=[strange(code)],
    )
    places = np.arange(400)[:, None] / 400
    for trial in run.trials:
        items = {"reward": np.full((40, 1), trial.reward), "arc": (places >= trial.tax).astype(float)}
        run.items.write("search", trial.number, items)
    return write_run(run)


@pytest.mark.parametrize(
    "command",
    [("show",), ("show", "--latex"), ("pick", "--max-tax", "0.02"), ("table",), ("plan",), ("report",)],
    ids=" ".join,
)
def test_a_look_at_it_runs_nothing(command: tuple[str, ...], folder: Path, code: Path, run: Command) -> None:
    ended = run(command[0], folder, *command[1:])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out
    assert not (code / "was-run").exists()


def test_two_of_them_are_compared_and_a_point_is_asked_for_and_nothing_is_run(
    folder: Path, code: Path, tmp_path: Path, run: Command
) -> None:
    assert run("compare", folder, folder).code == 0
    # There is no pair at org/base: the export ends before it writes.
    assert run("export", folder, "--point", "knee", "-o", tmp_path / "merged").code == 2
    assert not (code / "was-run").exists()


def test_a_search_of_the_same_file_would_run_it(code: Path) -> None:
    pytest.importorskip("lm_eval")
    (code / "rows.jsonl").write_text('{"question": "q"}\n')
    objectives_of(config_of(tax=[strange(code)]))
    assert (code / "was-run").exists()
