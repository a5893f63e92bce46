"""`SearchCallback`: a search where training ends, for TRL's trainers and every other `Trainer` of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import TrainerCallback

from ama_ray.api import search
from ama_ray.config import RunConfig
from ama_ray.config.yaml_file import YamlFile
from ama_ray.errors import UserError
from ama_ray.jobs.address import ADDRESS
from ama_ray.storage.files import replacing
from ama_ray.storage.names import RUN

if TYPE_CHECKING:
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

    from ama_ray.api import Run

Then = Literal["search", "submit", "write"]


class SearchCallback(TrainerCallback):
    """Writes a run file when training ends, of the model that it began from and the one that it made; and searches.

    The trained model, or its adapter, is saved to the trainer's `output_dir`. The run file lies beside this folder, as
    `OUTPUT_DIR-search/run.yaml`. `base` is what the model was loaded from, unless the given run file names one.

    ```python
    trainer.add_callback(SearchCallback(trainer, "search.yaml"))
    trainer.train()
    ```

    Attributes:
        run: The run that was searched; None before, and where nothing was.
        job: The job that was submitted; empty before, and where none was.
    """

    def __init__(self, trainer: Trainer, run: str | Path, *, then: Then = "search", address: str = ADDRESS) -> None:
        """Checks the run file, so that a mistake in it is told before the training and not after it.

        Args:
            trainer: The one that gets this callback.
            run: A run file without `aligned`. Without `out`, the results go to the folder `run` beside
                the run file that is written.
            then: `search` here and at once, in this process; `submit` to a Ray cluster, without waiting for it; or only
                `write` the run file.
            address: Ray's job server, for `submit`.

        Raises:
            UserError: A field of the run file is wrong, it names `aligned`, it is not known what the model was loaded
                from, or several processes train and would have to wait for a search.
        """
        self.run: Run | None = None
        self.job = ""
        self._trainer, self._file, self._then, self._address = trainer, Path(run), then, address
        if then == "search" and trainer.args.world_size > 1:
            raise UserError(
                f"{trainer.args.world_size} processes train here and hold their GPUs; give then='submit', or "
                "then='write' and search when they have ended."
            )
        self._base = _loaded_from(trainer)
        self._trained = Path(trainer.args.output_dir).resolve()
        self._folder = self._trained.with_name(f"{self._trained.name}-search")
        self._config()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Saves the model, writes the run file, and searches or submits.

        Raises:
            UserError: The search was refused, or the cluster is not there; the model and the run file are.
        """
        self._trainer.save_model(str(self._trained))  # in every process, as each may hold a part
        if not state.is_world_process_zero:
            return
        config = self._config()
        file = self._folder / RUN
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as written:
            written.write(config.to_yaml())
        try:
            if self._then == "search":
                _leave_gpu(self._trainer)
                self.run = search(file, progress=print)
            elif self._then == "submit":
                from ama_ray.jobs.jobs import Jobs

                self.job = Jobs(self._address).submit(file)
        except UserError as error:
            error.add_note(f"The trained model is in {self._trained}; ama-ray search {file} goes on from here.")
            raise

    def _config(self) -> RunConfig:
        """The run file with what training adds to it."""
        try:
            given = YamlFile.read(self._file).value
        except OSError:
            given = {}  # which `load` tells
        given = given if isinstance(given, dict) else {}
        if "aligned" in given:
            raise UserError(f"{self._file}: aligned: this is the model that is trained; leave the field out.")
        added = {"base": self._base, "out": self._folder / "run"}
        if "base" not in given and not self._base:
            raise UserError(
                f"{self._file}: base: the model was not loaded from a checkpoint; name where training began."
            )
        missing = {name: value for name, value in added.items() if name not in given}
        return RunConfig.load(self._file, aligned=self._trained, **missing)


def _loaded_from(trainer: Trainer) -> str:
    """The folder or hub id of the model that is trained; of an adapter, that of the model below it."""
    model = trainer.model.get_base_model() if hasattr(trainer.model, "get_base_model") else trainer.model
    return str(getattr(model, "name_or_path", ""))


def _leave_gpu(trainer: Trainer) -> None:
    """Makes room for an engine: the trained model and its reference go to host memory, the optimizer's state goes."""
    if not torch.cuda.is_available():
        return
    for model in (trainer.model, getattr(trainer, "ref_model", None)):
        if model is not None and not getattr(model, "is_quantized", False):
            model.to("cpu")
    if trainer.optimizer is not None:
        trainer.optimizer.state.clear()
    trainer.accelerator.free_memory()
