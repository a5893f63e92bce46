"""The swap on a GPU: against a device copy, and, with vLLM, against `reload_weights` and a new engine.

    python -m benchmarks.speed.gpu --gigabytes 0.5 --gigabytes 16 --model qwen3-0.6b

With torch alone: GB/s of `ama_ray.engine.worker.interpolation.write` over bfloat16 buffers of these sizes, endpoints on
the device and in locked host memory, and of a copy on the device and of one to it. With vLLM, random weights of a real
shape: seconds from ratios to the first token after a swap, after `reload_weights` of the written merge, and from a new
engine, and whether greedy tokens equal the new engine's. Where there is no GPU it says so and ends. It has not run yet,
as no machine with a GPU was at hand.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from ama_ray.engine.worker.interpolation import Piece, write
from benchmarks.speed.swap import endpoints, in_process, make_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.engine.in_process import InProcessEngine

SHAPES: dict[str, dict[str, int]] = {
    "qwen3-0.6b": {
        "vocab_size": 151_936,
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "llama-3-8b": {
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}
REPEATS = 5
TENSOR = 2**25
"""Elements of a buffer: about those of a large matrix."""
CONTEXT = 64
PROMPT, NEW_TOKENS = [1, 2, 3, 4], 16


def main(
    gigabytes: Annotated[list[float], typer.Option(help="size of one endpoint")] = [0.5, 2, 8, 16],  # noqa: B006
    model: Annotated[list[str], typer.Option(help=f"with vLLM: {', '.join(SHAPES)}")] = [],  # noqa: B006
) -> None:
    """Measures what is asked for."""
    if not torch.cuda.is_available():
        print("skipped: there is no GPU here")
        return
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    device = torch.cuda.get_device_name()
    rows = [_speeds(size) for size in gigabytes]
    engines = []
    for name in model:
        with tempfile.TemporaryDirectory() as folder:
            base, aligned = in_process(make_pair, Path(folder), SHAPES[name])
            merge = Path(folder) / "merge"
            row = in_process(time_live, base, aligned, merge)
            fresh = in_process(time_fresh, merge)
            equal = row.pop("tokens") == fresh.pop("tokens")
            engines.append({"model": name} | row | fresh | {"equal tokens": equal})
    for table in (rows, engines):
        if table:
            shown = Table(title=device)
            for column in table[0]:
                shown.add_column(column, justify="right")
            for each in table:
                shown.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in each.values()))
            Console(width=120).print(shown)
    print(json.dumps({"device": device, "torch": torch.__version__, "speeds": rows, "engines": engines}))


def _speeds(gigabytes: float) -> dict[str, float]:
    """GB/s that are read and written, endpoints being of this size each."""
    count = max(1, int(gigabytes * 1e9 / 2 / TENSOR))
    live = [torch.empty(TENSOR, dtype=torch.bfloat16, device="cuda") for _ in range(count)]
    ends = [[torch.randn(TENSOR, device="cuda").bfloat16() for _ in range(count)] for _ in range(2)]
    moved = 2 * TENSOR * count / 1e9

    def swap(base: list[torch.Tensor], aligned: list[torch.Tensor]) -> float:
        pieces = [Piece("all", *each) for each in zip(base, aligned, live, strict=True)]
        return _seconds(lambda: write((piece, 0.3) for piece in pieces))

    def copy(source: list[torch.Tensor]) -> float:
        pairs = list(zip(live, source, strict=True))
        return _seconds(lambda: [into.copy_(tensor, non_blocking=True) for into, tensor in pairs])

    row = {
        "endpoint GB": moved,
        "resident GB/s": 3 * moved / swap(*ends),
        "device copy GB/s": 2 * moved / copy(ends[0]),
    }
    pinned = [[tensor.cpu().pin_memory() for tensor in end] for end in ends]
    del ends
    return row | {"streamed GB/s": 2 * moved / swap(*pinned), "copy to device GB/s": moved / copy(pinned[0])}


def time_live(base: Path, aligned: Path, merge: Path) -> dict[str, Any]:
    """Seconds to the first token after a swap, and after `reload_weights` of the merge, which stays in `merge`."""
    from ama_ray.checkpoints import merging
    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.space.search_space import SearchSpace

    pair = Pair.open(str(base), str(aligned))
    groups = SearchSpace.load("per-layer").resolve(pair.names)
    engine = InProcessEngine(aligned, EngineSettings(), CONTEXT)
    engine.attach(endpoints(engine, pair, groups))
    row: dict[str, Any] = {"endpoints": engine._place}
    times = []
    for number in range(2 * REPEATS):
        start = time.perf_counter()
        engine.swap(dict.fromkeys(groups.names, 0.4 + 0.1 * (number % 2)))
        times.append(_until_token(engine, start))
    row |= {"swap to token s": median(times[2:]), "tokens": _tokens(engine)}
    start = time.perf_counter()
    merging.export(pair, groups.ratio_of(dict.fromkeys(groups.names, 0.5)), merge)
    engine._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(merge)})
    engine.reset_cache()
    return row | {"reload to token s": _until_token(engine, start)}


def time_fresh(merge: Path) -> dict[str, Any]:
    """Seconds from nothing but imports to the first token, the merge being written already."""
    import vllm  # noqa: F401

    from ama_ray.config import EngineSettings
    from ama_ray.engine.in_process import InProcessEngine

    start = time.perf_counter()
    engine = InProcessEngine(merge, EngineSettings(), CONTEXT)
    return {"new engine to token s": _until_token(engine, start), "tokens": _tokens(engine)}


def _until_token(engine: InProcessEngine, start: float) -> float:
    engine.greedy_logprobs([PROMPT], 1)
    return time.perf_counter() - start


def _tokens(engine: InProcessEngine) -> list[int]:
    return [token for token, _ in engine.greedy_logprobs([PROMPT], NEW_TOKENS)[0]]


def _seconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return median(times[2:])


if __name__ == "__main__":
    typer.run(main)
