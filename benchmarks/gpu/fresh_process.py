"""Step 4, with vLLM: a swapped engine against a fresh process on the export, which decides what a tolerance may be.

python -m benchmarks.gpu.fresh_process
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.gpu.measure import device_name
from benchmarks.gpu.outcome import Outcome, need
from benchmarks.gpu.shapes import QWEN_600M, SMALL

if TYPE_CHECKING:
    from ama_ray.engine.verdict import Outputs

NEW_TOKENS = 16
CONTEXT = 64
STEPS = 2
"""Roundings of the largest logit by which the first token's log-probability may differ between two processes."""


def main() -> None:
    """Has both answer the same prompts greedily, and compares as far as the tokens are equal."""
    outcome = Outcome("fresh_process", device_name())
    need(outcome, "vllm", "transformers")
    from ama_ray.engine.verdict import compare
    from benchmarks.gpu.live import quiet
    from benchmarks.gpu.pairs import LARGEST_LOGIT, draw_pair
    from benchmarks.speed.swap import in_process

    quiet()
    on_gpu = torch.cuda.is_available()
    shape = (QWEN_600M if on_gpu else SMALL) | {"tie_word_embeddings": True}
    if not on_gpu:
        outcome.left_out.append("the shape of Qwen3-0.6B, CUDA's kernels")
    with tempfile.TemporaryDirectory() as folder:
        pair = in_process(draw_pair, Path(folder), "Qwen3ForCausalLM", shape)
        merge = Path(folder) / "merge"
        swapped = in_process(_swapped, *pair, merge)
        fresh = [in_process(_fresh, merge) for _ in range(2)]
    step = 2.0 ** (int(torch.tensor(LARGEST_LOGIT).log2()) - 8)  # of a bfloat16 that is a little smaller
    for name, one, other in (("swapped and fresh", swapped, fresh[0]), ("fresh and fresh", fresh[1], fresh[0])):
        equal, largest = compare(one, other)
        first = max(abs(a[0][1] - b[0][1]) for a, b in zip(one, other, strict=True) if a[0][0] == b[0][0])
        outcome.figures |= {
            f"{name}: prompts with equal tokens": equal,
            f"{name}: prompts": len(one),
            f"{name}: largest difference, nats": largest,
        }
        outcome.at_most(f"{name}: largest difference of a first token, nats", first, STEPS * step)
    outcome.finish()


def _swapped(base: Path, aligned: Path, merge: Path) -> Outputs:
    from ama_ray.checkpoints import merging
    from ama_ray.config import EngineSettings
    from benchmarks.gpu.live import Live, arguments

    live = Live(base, aligned, EngineSettings(kv_cache_gib=0.1, gpu_memory_utilization=0.5, vllm=arguments()), CONTEXT)
    ratios = live.ratios(0.25, 0.75)
    live.engine.swap(ratios)
    answers = live.engine.greedy_logprobs(live.prompts(), NEW_TOKENS)
    merging.export(live.pair, live.groups.shares_of(ratios), merge)
    return answers


def _fresh(merge: Path) -> Outputs:
    from ama_ray.checkpoints.model_config import read_config
    from ama_ray.config import EngineSettings
    from ama_ray.engine.in_process import InProcessEngine
    from benchmarks.gpu.live import arguments, prompts

    settings = EngineSettings(dtype="bfloat16", kv_cache_gib=0.1, gpu_memory_utilization=0.5, vllm=arguments())
    engine = InProcessEngine(merge, settings, CONTEXT)
    return engine.greedy_logprobs(prompts(int(read_config(merge)["vocab_size"])), NEW_TOKENS)


if __name__ == "__main__":
    main()
