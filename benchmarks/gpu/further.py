"""Step 6, with vLLM, where time is left: what seeds cost, and a mixture of experts against vLLM's own loading.

python -m benchmarks.gpu.further
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.measure import device_name
from benchmarks.gpu.outcome import Outcome, need
from benchmarks.gpu.shapes import QWEN_600M, SMALL

REPLIES = {True: 512, False: 8}
TOKENS = {True: 128, False: 16}
EXPERTS: dict[str, Any] = {"num_experts": 8, "num_experts_per_tok": 2, "norm_topk_prob": True}


def main() -> None:
    """Times seeded and unseeded replies, and compares a mixture of experts in the layout that this GPU has for it."""
    outcome = Outcome("further", device_name())
    need(outcome, "vllm", "transformers")
    from benchmarks.gpu.live import quiet
    from benchmarks.gpu.pairs import draw_pair
    from benchmarks.speed.swap import in_process

    quiet()
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        outcome.left_out.append("512 replies, the layouts that GPUs have for experts")
    shape = (QWEN_600M if on_gpu else SMALL) | {"tie_word_embeddings": True}
    with tempfile.TemporaryDirectory() as folder:
        dense, experts = Path(folder) / "dense", Path(folder) / "experts"
        dense.mkdir()
        experts.mkdir()
        pair = in_process(draw_pair, dense, "Qwen3ForCausalLM", shape)
        milliseconds = in_process(_steps, *pair)
        outcome.figures |= {f"{name} replies: ms a step": value for name, value in milliseconds.items()}
        times = milliseconds["seeded"] / milliseconds["unseeded"]
        if on_gpu:
            outcome.at_most("seeded steps, times as long", times, 2)
        else:
            outcome.figures["seeded steps, times as long"] = times
        mixed = shape | EXPERTS | {"moe_intermediate_size": 768 if on_gpu else 32}
        if on_gpu:
            mixed["num_hidden_layers"] = 8
        pair = in_process(draw_pair, experts, "Qwen3MoeForCausalLM", mixed)
        odd, count = in_process(_experts, *pair)
        outcome.figures["mixture of experts: tensors"] = count
        outcome.check("mixture of experts: tensors as vLLM loads them", not odd, f"differing: {odd[:5]}")
    outcome.finish()


def _steps(base: Path, aligned: Path) -> dict[str, float]:
    """Milliseconds of a step that generates a token of every reply."""
    from vllm import SamplingParams

    from ama_ray.config import EngineSettings
    from benchmarks.gpu.live import Live, arguments

    on_gpu = torch.cuda.is_available()
    settings = EngineSettings(
        kv_cache_gib=0.1, gpu_memory_utilization=0.5, max_num_seqs=REPLIES[on_gpu], vllm=arguments()
    )
    live = Live(base, aligned, settings, 256 if on_gpu else 64)
    prompts: list[Any] = [{"prompt_token_ids": [2 + n % 100, 3, 4]} for n in range(REPLIES[on_gpu])]
    milliseconds = {}
    for name in ("unseeded", "seeded", "unseeded", "seeded"):  # the first of each is a warm-up
        params = [
            SamplingParams(
                temperature=1.0, max_tokens=TOKENS[on_gpu], ignore_eos=True, seed=n if name == "seeded" else None
            )
            for n in range(len(prompts))
        ]
        start = time.perf_counter()
        live.engine._llm.generate(prompts, params, use_tqdm=False)
        milliseconds[name] = 1000 * (time.perf_counter() - start) / TOKENS[on_gpu]
    return milliseconds


def _experts(base: Path, aligned: Path) -> tuple[list[str], int]:
    from ama_ray.config import EngineSettings
    from benchmarks.gpu.live import Live, arguments, swap_and_load

    settings = EngineSettings(kv_cache_gib=0.1, gpu_memory_utilization=0.5, vllm=arguments())
    live = Live(base, aligned, settings, 64)
    ratios = live.ratios(0.25, 0.75)
    merge = [str(base), str(aligned)], live.groups.shares_of(ratios)
    odd, _, count = live.ask(swap_and_load, ratios, merge)
    return odd, count


if __name__ == "__main__":
    main()
