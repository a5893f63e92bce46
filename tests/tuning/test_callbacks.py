"""Trackers: TensorBoard for real, the others by what is said where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.tuning import callbacks
from ama_ray.tuning.trial_records import TrialSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def config(out: Path, *names: str) -> RunConfig:
    return RunConfig.from_arguments(
        base="org/base",
        aligned="org/aligned",
        reward={"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
        tax=[{"kind": "choice", "name": "arc", "family": "reasoning", "file": "arc.jsonl"}],
        out=out,
        callbacks=list(names),
    )


def tags(folder: Path) -> dict[str, float]:
    """The scalars of a TensorBoard file, by its tag."""
    from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-untyped]

    (file,) = folder.glob("events.out.tfevents.*")
    data = file.read_bytes()
    found: dict[str, float] = {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
        found |= {value.tag: value.simple_value for value in event.summary.value}
    return found


def test_tensorboard_gets_a_folder_per_trial_and_split(tmp_path: Path) -> None:
    (tensorboard,) = callbacks.make(config(tmp_path, "tensorboard"))
    settings = TrialSpec(7, "sampler", {"a": 0.25}).to_config()
    trial = type("Trial", (), {"config": settings, "evaluated_params": settings})()
    result = {"reward": 3.5, "tax": 0.02, "ratios": {"a": 0.25}, "seconds": {"swap": 0.5}, "training_iteration": 1}
    tensorboard.on_trial_start(iteration=0, trials=[], trial=trial)
    tensorboard.on_trial_result(iteration=0, trials=[], trial=trial, result=result | {"items": "bulky", "pid": 3})
    tensorboard.on_trial_complete(iteration=0, trials=[], trial=trial)
    found = tags(tmp_path / "tensorboard" / "search" / "7")
    assert found["ray/tune/reward"] == 3.5
    assert found["ray/tune/ratios/a"] == 0.25
    assert "ray/tune/pid" not in found


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "find_spec", lambda package: None)
    with pytest.raises(UserError, match=f"callbacks: {name} needs the package {name}; pip install {name}"):
        callbacks.make(config(tmp_path, name))


def test_a_class_by_its_dotted_path(tmp_path: Path) -> None:
    (made,) = callbacks.make(config(tmp_path, "ray.tune.logger.JsonLoggerCallback"))
    assert type(made).__name__ == "JsonLoggerCallback"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ray.tune.logger.NoSuchCallback", "cannot be made"),
        ("no_such_module.Callback", "cannot be made"),
        ("collections.OrderedDict", "is no ray.tune.Callback"),
    ],
)
def test_what_is_no_callback_is_refused(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        callbacks.make(config(tmp_path, name))


@pytest.mark.parametrize("names", [["tensorbord"], ["a b"]])
def test_a_run_file_names_callbacks_that_there_can_be(names: Sequence[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no callback"):
        config(tmp_path, *names)
