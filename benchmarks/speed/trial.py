"""Trials per minute: a search, mergekit-evolve 0.1.5, and a loop of merging to disk and starting a new engine.

    python -m benchmarks.speed.trial --trials 12

The bundled pair, four probes of 200 items, the same number of threads for all. Ours is a whole `search()` with one
engine (and a single reply as its reward), trials as they follow each other once the first has ended. mergekit-evolve
keeps its model in memory, in its own environment (`benchmarks.peers.environments`), with what it takes to run it
without a GPU (`benchmarks/mergekit/evolve.py`): `as it is` evaluates item by item, `mended` in batches. The loop counts
no imports. That all do the same work is checked: their scores at one uniform merge are printed.

Then our trial with 128 replies of up to 28 tokens besides: how much of it is spent outside vLLM, and where.
Prints tables and a JSON object.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ama_ray.miniature import ROOT
from benchmarks.peers import environments
from benchmarks.speed.swap import in_process
from benchmarks.speed.trial_ours import PROBES, profile_host, time_loop, time_search

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH = 200
"""Of mergekit-evolve when mended: the fastest of 1, 16, 64 and 200 here."""
TASK = """\
task: ama_{name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
doc_to_text: "{{{{prompt}}}}"
"""
CHOICE = """\
output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: "{{gold}}"
metric_list: [{metric: acc}]
"""
EXACT = """\
output_type: generate_until
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{max_gen_toks: {tokens}, do_sample: false, until: []}}
metric_list: [{{metric: exact_match, ignore_case: false, ignore_punctuation: false}}]
filter_list: [{{name: none, filter: [{{function: remove_whitespace}}, {{function: take_first}}]}}]
"""


def main(
    trials: Annotated[int, typer.Option(min=5, help="of our search")] = 20,
    evaluations: Annotated[int, typer.Option(min=4, help="of mergekit-evolve")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads of everything")] = 1,
) -> None:
    """Runs all contestants, one after another."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(threads)}
    environments.mergekit()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = {
            "ama_ray": in_process(time_search, folder / "ours", trials, threads),
            "merge to disk, new engine": in_process(time_loop, folder / "loop", threads),
            "mergekit-evolve as it is": _evolve(folder / "as-is", evaluations, threads, mended=False),
            "mergekit-evolve mended": _evolve(folder / "mended", evaluations, threads, mended=True),
        }
        host = in_process(profile_host, folder / "host", threads)
    ours = rows["ama_ray"]["seconds"]
    table = Table(title=f"one trial: four probes of 200 items, {threads} thread{'s' if threads > 1 else ''}")
    for column in ("", "seconds", "a minute", "ours is faster", *PROBES):
        table.add_column(column, justify="right" if column else "left")
    for name, row in rows.items():
        row |= {"per_minute": 60 / row["seconds"], "times": row["seconds"] / ours}
        scores = (f"{row['scores'][probe]:.3f}" for probe in PROBES)
        table.add_row(name, f"{row['seconds']:.2f}", f"{row['per_minute']:.0f}", f"{row['times']:.1f}x", *scores)
    Console(width=120).print(table)
    first, shares = rows["ama_ray"]["to_first_trial"], rows["ama_ray"]["stages"]
    print(f"ours, to the first trial: {_listed(first)}; then per trial: {_listed(shares)}")
    print(f"with 128 replies: {host['seconds']:.2f} s a trial, {host['outside']:.1%} of it outside vLLM: ", end="")
    print(_listed(host["functions"]))
    print(json.dumps({"threads": threads, "contestants": rows, "host": host}))


def _evolve(folder: Path, evaluations: int, threads: int, *, mended: bool) -> dict[str, Any]:
    """Seconds of an evaluation, and the scores of equal weights."""
    tasks = folder / "tasks"
    tasks.mkdir(parents=True)
    for name, tokens in PROBES.items():
        form = EXACT.format(tokens=tokens) if tokens else CHOICE
        text = TASK.format(name=name, file=ROOT / "data" / "report" / f"{name}.jsonl") + form
        (tasks / f"{name}.yaml").write_text(text, encoding="utf-8")
    metrics = {name: "exact_match,none" if tokens else "acc,none" for name, tokens in PROBES.items()}
    genome = {
        "genome": {
            "models": [str(ROOT / end) for end in ("base", "rsf")],
            "merge_method": "linear",
            "layer_granularity": 1,
        },
        "apply_chat_template": False,
        "tasks": [{"name": f"ama_{name}", "metric": metric} for name, metric in metrics.items()],
    }
    (folder / "genome.json").write_text(json.dumps(genome), encoding="utf-8")
    times = folder / "times.json"
    environments.run(
        *("evolve", times, folder / "genome.json", "--storage-path", folder / "store", "--task-search-path", tasks),
        *("--in-memory", "--num-gpus", "1", "--no-merge-cuda", "--no-reshard", "--no-save-final-model"),
        *("--max-fevals", str(evaluations), "--force-population-size", "4", "--batch-size", str(BATCH)),
        folder=folder,
        threads=threads,
        **({"EVOLVE_MENDED": "1"} if mended else {}),
    )
    _, equal, *generations = json.loads(times.read_text(encoding="utf-8"))
    scores = {name: equal["results"][f"ama_{name}"][metric] for name, metric in metrics.items()}
    return {"seconds": median(each["seconds"] / each["evaluations"] for each in generations), "scores": scores}


def _listed(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g} s" for name, value in seconds.items())


if __name__ == "__main__":
    typer.run(main)
