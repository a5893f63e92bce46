"""Trackers: TensorBoard for real, the others by what is said where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ray.tune import Callback
from ray.tune.logger import JsonLoggerCallback

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.storage.given import Given
from ama_ray.tuning import callbacks
from ama_ray.tuning.trial_records import TrialSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


REST: dict[str, Any] = {
    "base": "org/base",
    "aligned": "org/aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
    "tax": [{"kind": "choice", "name": "arc", "family": "reasoning", "file": "arc.jsonl"}],
}


def config(out: Path, *names: str) -> RunConfig:
    return RunConfig.from_arguments(**REST, out=out, callbacks=list(names))


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


class Mine(Callback):  # type: ignore[misc]
    """A callback with an argument, which no name could make."""

    def __init__(self, place: str) -> None:
        self.place = place


def test_an_object_is_taken_as_it_is_and_named_by_its_class_in_the_run_file(tmp_path: Path) -> None:
    mine = Mine("here")
    given = Given.of({"callbacks": ["ray.tune.logger.JsonLoggerCallback", mine, JsonLoggerCallback]}, tmp_path)
    json_logger = "ray.tune.logger.json.JsonLoggerCallback"
    assert given.fields["callbacks"][1:] == [f"{Mine.__module__}.Mine", json_logger]
    made = callbacks.make(config(tmp_path, *given.fields["callbacks"]), given.callbacks)
    assert made[1] is mine
    assert [type(each).__name__ for each in made] == ["JsonLoggerCallback", "Mine", "JsonLoggerCallback"]
    with pytest.raises(UserError, match=r"Mine cannot be made .*; it takes no arguments"):
        callbacks.make(config(tmp_path, *given.fields["callbacks"]))


def test_one_callback_needs_no_list(tmp_path: Path) -> None:
    mine = Mine("here")
    given = Given.of({"callbacks": mine}, tmp_path)
    assert callbacks.make(config(tmp_path, *given.fields["callbacks"]), given.callbacks) == [mine]
    assert Given.of({"callbacks": "tensorboard"}, tmp_path).fields["callbacks"] == ["tensorboard"]


def test_what_is_no_callback_is_told_by_the_field(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"callbacks\.0: this is 7 and must be"):
        RunConfig.from_arguments(**Given.of(REST | {"callbacks": 7, "out": tmp_path}, tmp_path).fields)
