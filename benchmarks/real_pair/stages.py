"""The stages, in their order: each makes one thing of what earlier ones made, and is skipped once that is there."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testing.real_pair.folder import Made

LOG = "made.jsonl"
HH = "hh-rlhf/harmless-base.test.jsonl.gz"


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: What the user calls it.
        path: What it makes.
        make: Makes it; returns what is worth telling of it.
    """

    name: str
    path: Path
    make: Callable[[], Any]

    def run(self, folder: Path) -> None:
        """Makes what is not there yet, and notes the seconds it took."""
        if self.path.exists():
            print(f"{self.name}: {self.path} is there", flush=True)
            return
        start = time.perf_counter()
        found = self.make()
        told = {"stage": self.name, "seconds": round(time.perf_counter() - start, 1), "found": found}
        with (folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(told) + "\n")
        print(json.dumps(told), flush=True)


def stages(made: Made, base: str, data: Path) -> Iterator[Stage]:
    """All stages.

    Args:
        made: The folder to fill.
        base: Where the base model is from; see `base_model.make`.
        data: The folder with HH-RLHF and the benchmarks.
    """
    from benchmarks.real_pair import alignment, base_model, measure, replies, reward_model
    from testing.real_pair import adapter, run_file

    yield Stage("base", made.base, partial(base_model.make, base, made.base))
    yield Stage("data", made.data, partial(_data, made, data / HH))
    yield Stage("reward-model", made.reward_model, partial(reward_model.make, made.base, made.data, made.reward_model))
    yield Stage("replies", made.replies, partial(replies.make, made.base, made.data, made.reward_model, made.replies))
    yield Stage("policy", made.policy, partial(alignment.make, made.base, made.replies, made.policy))
    yield Stage("aligned", made.aligned, partial(_aligned, made))
    yield Stage("adapter", made.adapter, partial(adapter.make, made.base, made.aligned, made.adapter))
    yield Stage("run-file", made.run_file, partial(run_file.make, made, data))
    yield Stage("measured", made.measured, partial(measure.make, made, made.measured))


def _data(made: Made, file: Path) -> None:
    from transformers import AutoTokenizer

    from testing.real_pair import comparisons

    comparisons.make(file, AutoTokenizer.from_pretrained(made.base), made.data)


def _aligned(made: Made) -> None:
    """The policy, in the precision of base, and with its files."""
    import torch
    from transformers import AutoModelForCausalLM

    from ama_ray.checkpoints.merging import complete_folder

    model = AutoModelForCausalLM.from_pretrained(made.policy, dtype=torch.bfloat16)
    with complete_folder(made.aligned) as folder:
        shutil.copytree(made.base, folder, dirs_exist_ok=True)
        model.save_pretrained(folder)
