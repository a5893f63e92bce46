"""Step 5, with vLLM: the shape of Llama 3 8B, both endpoints on the GPU, and again with 24 GB left, streamed.

python -m benchmarks.gpu.large_engine --folder /tmp
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.gpu.measure import device_name, seconds
from benchmarks.gpu.outcome import Outcome, need
from benchmarks.gpu.shapes import LLAMA_8B, SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_GPU = 24e9
"""Bytes of the GPU that the second part makes of a larger one."""
SHARE = 0.9
"""Of these, what the run takes."""
CONTEXT = {True: 2048, False: 128}
PROMPT, NEW_TOKENS = list(range(2, 34)), 1
MOST_MS = {"resident": 50.0, "streamed": 2000.0}
"""Of a swap with its verification: 20 ms and 1.3 s are expected."""


def main() -> None:
    """Draws the pair once, and starts an engine on it twice, each in a process of its own."""
    parser = argparse.ArgumentParser(description="8B, resident and streamed")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where 32 GB of checkpoints find room")
    given = parser.parse_args()
    outcome = Outcome("large_engine", device_name())
    need(outcome, "vllm", "transformers")
    from benchmarks.gpu.live import quiet
    from benchmarks.gpu.pairs import draw_pair
    from benchmarks.speed.swap import in_process

    quiet()
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        outcome.left_out.append("the shape of Llama 3 8B, memory of a GPU, streaming")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        start = time.perf_counter()
        pair = in_process(draw_pair, Path(folder), "LlamaForCausalLM", LLAMA_8B if on_gpu else SMALL)
        outcome.figures["drawing and writing the pair, s"] = time.perf_counter() - start
        for name in ("resident", "streamed") if on_gpu else ("resident",):
            memory = _memory() if on_gpu else 0.0
            share = SHARE * SMALL_GPU / memory if name == "streamed" else SHARE
            with _ballast(memory - SMALL_GPU if name == "streamed" else 0):
                figures = in_process(_measure, *pair, "pinned" if name == "streamed" else "auto", share)
            outcome.figures |= {f"{name}: {key}": value for key, value in figures.items()}
            key = f"{name}: swap and verification, ms"
            outcome.at_most(key, outcome.figures[key], MOST_MS[name])
            key = f"{name}: tokens of KV cache"
            outcome.at_least(key, outcome.figures[key], CONTEXT[on_gpu])
    outcome.finish()


def _memory() -> float:
    from ama_ray.engine.placement import accelerator_memory

    return float(accelerator_memory())


@contextmanager
def _ballast(size: float) -> Iterator[None]:
    """Has another process hold so many bytes of the GPU meanwhile."""
    if size <= 0:
        yield
        return
    context = get_context("spawn")
    held, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(int(size), held, done), daemon=True)
    process.start()
    if not held.wait(60):
        raise RuntimeError(f"the GPU does not give {size / 1e9:.0f} GB away")
    try:
        yield
    finally:
        done.set()
        process.join(30)


def _hold(size: int, held: Any, done: Any) -> None:
    ballast = torch.empty(size, dtype=torch.uint8, device="cuda")
    held.set()
    done.wait()
    del ballast


def _measure(base: Path, aligned: Path, place: str, share: float) -> dict[str, Any]:
    """Starts the engine and measures: loading, swaps, the first token after one, memory."""
    from ama_ray.config import EngineSettings
    from benchmarks.gpu.live import Live, arguments

    settings = EngineSettings.model_validate(
        {"endpoints": place, "gpu_memory_utilization": share, "kv_cache_gib": 0.1, "vllm": arguments()}
    )
    on_gpu = torch.cuda.is_available()
    start = time.perf_counter()
    live = Live(base, aligned, settings, CONTEXT[on_gpu])
    figures: dict[str, Any] = {
        "place": live.engine._place,
        "start, both endpoints and attaching, s": time.perf_counter() - start,
        "tokens of KV cache": live.config.cache_config.num_gpu_blocks * live.config.cache_config.block_size,
    }
    if on_gpu:
        figures["most that PyTorch held of the GPU, GB"] = torch.cuda.max_memory_allocated() / 1e9
    here, there = live.ratios(0.25, 0.75), live.ratios(0.9, 0.1)
    turns = iter([here, there] * 100)
    figures["swap and verification, ms"] = 1000 * seconds(lambda: live.ask(_swap, next(turns)))
    live.engine.swap(here)
    figures["verification, ms"] = 1000 * seconds(lambda: live.ask(_verify, here))

    def to_first_token() -> None:
        live.engine.swap(next(turns))
        live.engine.greedy_logprobs([PROMPT], NEW_TOKENS)

    figures["ratios to the first token, ms"] = 1000 * seconds(to_first_token)
    return figures


def _swap(worker: Any, ratios: dict[str, float]) -> None:
    worker.swap(ratios)


def _verify(worker: Any, ratios: dict[str, float]) -> None:
    worker.verify(ratios)


if __name__ == "__main__":
    main()
