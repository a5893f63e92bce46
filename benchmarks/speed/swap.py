"""How fast is a swap? Against the memory of this machine, and against the other ways to get a merge into an engine.

    python -m benchmarks.speed.swap --model miniature --model 150m --model 1.1b --threads 2
    python -m benchmarks.speed.swap --model 1.1b --aligned 3

Random bfloat16 weights of a Llama shape (1.1b: TinyLlama's, arXiv 2401.02385), or the miniature's own float32 ones. In
one process, with the same threads throughout: `Engine.swap`, its checks and the reset of the cache included; one
`torch.lerp` over plain buffers, which is the bound; and a merge written to disk and read by vLLM's `reload_weights`. In
processes of their own, imports not counted: a new engine on that file, and mergekit's linear merge to disk. Ratios
differ from swap to swap in every group. With several aligned models, the bound is what reading all endpoints and
writing one takes at the speed of that `torch.lerp`, and mergekit and new engines are left out. Prints a table and a
JSON object, with the largest error of the arithmetic against float64.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from ama_ray.miniature import ROOT
from benchmarks.peers import environments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.space.groups import Groups

P = ParamSpec("P")
R = TypeVar("R")

SHAPES: dict[str, dict[str, int]] = {
    "150m": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
    },
    "1.1b": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
    },
}
VOCABULARY = 32_000
CONTEXT = 64
BOUND_BYTES = 2**30
"""Of each of the bound's three buffers at most: far beyond any cache."""


def main(
    model: Annotated[list[str], typer.Option(help=f"miniature, {', '.join(SHAPES)}")] = ["miniature", "150m"],  # noqa: B006
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads of everything")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="timed turns of swap and bound")] = 9,
    models: Annotated[int, typer.Option("--aligned", min=1, help="aligned models, of random weights")] = 1,
) -> None:
    """Times every model and prints a row for each."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(threads)}
    rows = []
    for name in model:
        with tempfile.TemporaryDirectory() as folder:
            base, aligned = ROOT / "base", [ROOT / each for each in ("rsf", "dpo", "rloo")[:models]]
            if name != "miniature":
                base, aligned = in_process(make_set, Path(folder), SHAPES[name], models)
            merge = Path(folder) / "merge"
            row = in_process(time_swaps, base, aligned, merge, threads, repeats)
            if models == 1:
                row["new_engine_s"] = in_process(time_start, merge, threads) + row["write_s"]
                printed = environments.run(
                    "linear", base, aligned[0], Path(folder) / "linear", folder=Path(folder), threads=threads
                )
                row["mergekit_s"] = float(printed.splitlines()[-1])
                row["times_mergekit"] = row["mergekit_s"] / row["swap_s"]
                row["times_new_engine"] = row["new_engine_s"] / row["swap_s"]
        row["of_bound"] = row["swap_gb_per_s"] / row["bound_gb_per_s"]
        row["times_reload"] = row["reload_s"] / row["swap_s"]
        rows.append({"model": name} | row)
    table = Table(title=f"a swap, {threads} threads; reload and new engine include writing the merge")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(value if isinstance(value, str) else f"{value:.4g}" for value in row.values()))
    Console().print(table)
    print(json.dumps(rows))


def make_set(folder: Path, shape: dict[str, int], models: int) -> tuple[Path, list[Path]]:
    """Writes checkpoints of random bfloat16 weights, with the miniature's tokenizer.

    Returns:
        The folders of base and of the aligned models.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": VOCABULARY} | shape
    config = LlamaConfig(tie_word_embeddings=False, dtype=torch.bfloat16, **sizes)
    config.architectures = ["LlamaForCausalLM"]
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in LlamaForCausalLM(config).state_dict().items()}
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "base")
    aligned = [folder / f"aligned-{number}" for number in range(models)]
    for seed, path in enumerate((folder / "base", *aligned)):
        generator = torch.Generator().manual_seed(seed)
        tensors = {
            key: torch.empty(size, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)
            for key, size in shapes.items()
        }
        path.mkdir()
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(path)
        tokenizer.save_pretrained(path)
    return folder / "base", aligned


def time_swaps(base: Path, aligned: list[Path], merge: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Starts an engine on the first aligned, attaches all endpoints and times; leaves the merge at 0.5 in `merge`."""
    from ama_ray.checkpoints import merging
    from ama_ray.checkpoints.pair import Pair
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.space.search_space import SearchSpace

    pair = Pair.open(str(base), list(map(str, aligned)))
    models = len(aligned)
    groups = pair.groups(SearchSpace.load("per-layer"), [f"m{model}" for model in range(models)])
    engine = InProcessEngine(aligned[0], _settings(threads), CONTEXT)
    ends = endpoints(engine, pair, groups)
    engine.attach(ends, models)

    ratio = itertools.cycle((0.3, 0.6))
    swap = _seconds(lambda: engine.swap(dict.fromkeys(groups.names, next(ratio) / models)), repeats)
    size = ends.num_bytes // (models + 1)
    row = {
        "endpoints_gb": ends.num_bytes / 1e9,
        "swap_s": swap,
        "swap_gb_per_s": (ends.num_bytes + size) / swap / 1e9,
    } | _bound(min(size, BOUND_BYTES), pair.dtype, repeats)
    start = time.perf_counter()
    merging.export(pair, groups.shares_of(dict.fromkeys(groups.names, 0.5 / models)), merge)
    row["write_s"] = time.perf_counter() - start
    engine._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(merge)})
    row["reload_s"] = time.perf_counter() - start
    return row


def endpoints(engine: InProcessEngine, pair: Pair, groups: Groups) -> Endpoints:
    """The endpoints as a run gets them, in memory of this process. Leaves the last aligned model live."""
    from ama_ray.engine.endpoints import Endpoints

    spans = engine.find_spans(pair.shapes, pair.dtypes, pair.numbers(groups))

    def endpoint(checkpoint: Checkpoint, of: Mapping[str, tuple[Span, ...]] | None) -> dict[str, StoredTensor]:
        engine.load_checkpoint(checkpoint)
        parameters = engine.snapshot(engine.parameter_bytes, pair.dtype, of)
        # Copies, as the object store makes them: a snapshot is a view of the live weights.
        return {name: replace(each, array=each.array.copy()) for name, each in parameters.items()}

    base, *aligned = (endpoint(each, of) for each, of in zip(pair.endpoints, (None, *spans), strict=True))
    return Endpoints(base, aligned, spans)


def time_start(folder: Path, threads: int) -> float:
    """Seconds that a new engine takes, vLLM already imported."""
    import vllm  # noqa: F401

    from ama_ray.engine.in_process import InProcessEngine

    start = time.perf_counter()
    InProcessEngine(folder, _settings(threads), CONTEXT)
    return time.perf_counter() - start


def _seconds(call: Callable[[], object], repeats: int) -> float:
    """Median over `repeats` calls, after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times[2:])


def _bound(size: int, dtype: torch.dtype, repeats: int) -> dict[str, float]:
    """Speed of one interpolation of plain buffers of `size` bytes, and its largest error.

    The error is against float64, in units of the dtype's epsilon times the larger of both endpoints.
    """
    import torch

    from ama_ray.checkpoints.arithmetic import interpolate

    base, aligned, out = (torch.randn(size // dtype.itemsize).to(dtype) for _ in range(3))
    seconds = _seconds(lambda: interpolate(base, aligned, 0.3, out=out), repeats)
    base, aligned, out = (each[:1_000_000].double() for each in (base, aligned, out))
    largest = torch.maximum(base.abs(), aligned.abs()) * torch.finfo(dtype).eps
    error = (out - (0.7 * base + 0.3 * aligned)).abs() / largest
    return {"bound_gb_per_s": 3 * size / seconds / 1e9, "error_eps": float(error.max())}


def _settings(threads: int) -> EngineSettings:
    from ama_ray.config import EngineSettings

    return EngineSettings(cpus=threads, kv_cache_gib=0.25)


def in_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *args, **kwargs).result()


if __name__ == "__main__":
    typer.run(main)
