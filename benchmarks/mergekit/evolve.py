"""Runs mergekit-evolve 0.1.5 on a machine without a GPU, in an environment of its own.

    python evolve.py TIMES.json [arguments of mergekit-evolve]

`benchmarks.peers.environments` makes the environment. The program runs as it is, but for what keeps it from running
here at all:

1. `lm_eval.models.vllm_causallms` is a stand-in: mergekit reads the name, though vLLM is not used, and no lm-eval that
   works with transformers 5 has it without vLLM.
2. Its actors ask Ray for one GPU each; here for none. Their PyTorch takes as many threads as OMP_NUM_THREADS says.
3. Planning a merge in memory hands one kind of task to a field that pydantic checks for another; here unchecked.

and for what is not as fast as it could be, where the environment variable EVOLVE_MENDED is set:

4. `--batch-size` does not reach a model in memory, so all is evaluated one by one; here it does.
5. bfloat16 is fixed in its code; here float32, the precision of the other contestants.

Every generation is timed and written to TIMES.json. Before the first, equal weights for both models are scored: once to
warm up, and once more for anyone to compare the scores.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import lm_eval.models

lm_eval.models.vllm_causallms = types.SimpleNamespace(VLLM=type("VLLM", (), {}))

import lm_eval.models.huggingface
import numpy as np
import ray
import torch
from mergekit.evo import actors, strategy
from mergekit.io.tasks import ReturnTensor
from mergekit.plan import MergePlanner
from mergekit.scripts import evolve


def plan_in_memory(self: Any) -> list[Any]:
    self._plan()
    return [
        ReturnTensor.model_construct(
            weight_info=weight, tensor_task=task, dtype=weight.force_dtype or self.config.out_dtype
        )
        for weight, task in self._tensors
    ]


class Evaluator(actors.InMemoryMergeEvaluator.__ray_metadata__.modified_class):
    """mergekit's evaluator that keeps the model in memory, the faster of its two."""

    def __init__(self, *args: Any, **options: Any) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        MergePlanner.plan_in_memory = plan_in_memory
        if "EVOLVE_MENDED" in os.environ:
            torch.nn.Module.bfloat16 = torch.nn.Module.float
        super().__init__(*args, **options)

    def _maybe_init_model(self, config: Any) -> None:
        super()._maybe_init_model(config)
        if "EVOLVE_MENDED" in os.environ:
            self.model.batch_size_per_gpu = self.batch_size


def main() -> None:
    times = Path(sys.argv.pop(1))
    # So that Ray's workers get the actors as they are here.
    ray.cloudpickle.register_pickle_by_value(actors)
    actors.monkeypatch_lmeval_vllm = lambda: None
    strategy.InMemoryMergeEvaluator = ray.remote(num_cpus=1)(Evaluator)
    rows: list[dict[str, Any]] = []

    class Timed(strategy.ActorPoolEvaluationStrategy):
        def evaluate_genotypes(self, genotypes: list[Any]) -> list[dict[str, Any]]:
            if not rows:
                equal = np.full_like(genotypes[0], 0.5)
                self._timed([equal])
                self._timed([equal])
            return self._timed(genotypes)

        def _timed(self, genotypes: list[Any]) -> list[dict[str, Any]]:
            start = time.perf_counter()
            results: list[dict[str, Any]] = super().evaluate_genotypes(genotypes)
            seconds = time.perf_counter() - start
            rows.append({"seconds": seconds, "evaluations": len(genotypes), "results": results[0]["results"]})
            times.write_text(json.dumps(rows, default=str), encoding="utf-8")
            return results

    evolve.ActorPoolEvaluationStrategy = Timed
    evolve.main()


if __name__ == "__main__":
    main()
