"""The callbacks of a run file: Ray Tune's own for TensorBoard, MLflow and W&B, or classes by their dotted paths."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ama_ray.config.search import TRACKERS
from ama_ray.errors import UserError, one_line
from ama_ray.storage.names import TENSORBOARD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ray.tune import Callback

    from ama_ray.config import RunConfig

_LOGGED = ("share", "seconds", "ratios", "training_iteration")
"""What is logged of a result besides the objectives: numbers, and dicts of numbers. The rest is Tune's own."""


def make(config: RunConfig, given: Sequence[Any] = ()) -> list[Callback]:
    """Makes the callbacks of a run, but for those that were given as objects.

    TensorBoard's files are in the folder of the run, a folder per trial and split; where MLflow and W&B keep theirs,
    their environment variables say.

    Args:
        config: The run file, which names all of them.
        given: What Python gave, in the same order; empty where a file names them.

    Raises:
        UserError: A package is missing, or a dotted path names no callback that can be made.
    """
    from ray.tune import Callback

    each = zip(config.callbacks, given or config.callbacks, strict=True)
    return [found if isinstance(found, Callback) else _make(name, config) for name, found in each]


def _make(name: str, config: RunConfig) -> Callback:
    if name not in TRACKERS:
        return _dotted(name)
    if find_spec(TRACKERS[name]) is None:
        raise UserError(
            f"callbacks: {name} needs the package {TRACKERS[name]}; pip install {TRACKERS[name]}, or leave it out."
        )
    names, run = config.objectives, config.out.name
    if name == "tensorboard":
        from ama_ray.tuning.tensorboard_internals import FolderTensorBoard

        return _of_numbers(FolderTensorBoard, names)(config.out / TENSORBOARD)
    if name == "mlflow":
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        return _of_numbers(MLflowLoggerCallback, names)(experiment_name=run)
    from ray.air.integrations.wandb import WandbLoggerCallback

    return _of_numbers(WandbLoggerCallback, names)(project="ama_ray", group=run)


def _of_numbers(kind: Any, objectives: tuple[str, ...]) -> Any:
    class OfNumbers(kind):
        """Logs what a trial scored, and leaves its items out."""

        def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
            kept = {key: result[key] for key in (*objectives, *_LOGGED) if key in result}
            super().log_trial_result(iteration, trial, kept)

    return OfNumbers


def _dotted(path: str) -> Callback:
    from ray.tune import Callback

    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
        callback = found()
    except Exception as error:
        raise UserError(f"callbacks: {path} cannot be made ({one_line(error)}); it takes no arguments.") from error
    if not isinstance(callback, Callback):
        raise UserError(f"callbacks: {path} is no ray.tune.Callback.")
    return callback
