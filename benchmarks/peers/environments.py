"""The environments of tools that we compare with; each is made at its first use, and lies beside our own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "benchmarks" / "mergekit"


def mergekit() -> Path:
    """The Python of mergekit's environment."""
    folder = ROOT / ".venv-mergekit"
    python, made = folder / "bin" / "python", folder / ".made"
    if not made.is_file():
        print("making mergekit's environment, some minutes", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        requirements = PROGRAMS / "requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", requirements], check=True)
        made.touch()
    return python


def run(script: str, *arguments: str | Path, folder: Path, threads: int, **environment: str) -> str:
    """What a program in `benchmarks/mergekit/` prints, with its environment and nothing of ours.

    Args:
        script: Name of the program.
        arguments: Of its command line.
        folder: Where it runs, and may leave things.
        threads: Of PyTorch.
        environment: Further variables.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    mine = {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0"} | environment
    done = subprocess.run(
        [mergekit(), PROGRAMS / f"{script}.py", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | mine,
    )
    if done.returncode:
        raise RuntimeError(f"{script}.py failed: {done.stderr[-2000:]}")
    return done.stdout
