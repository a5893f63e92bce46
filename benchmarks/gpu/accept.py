"""The acceptance run: every step in a process of its own, in order, each within its minutes.

python -m benchmarks.gpu.accept --out gpu.json

Needs nothing but Python itself; what the steps need, they say.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STEPS = {
    "torch_alone": 3,
    "streams": 2,
    "small_engine": 8,
    "fresh_process": 4,
    "large_engine": 7,
    "further": 4,
}
"""Minutes of each."""
MINUTES = 25
"""Of all."""
TAIL = 4000
"""Characters that are kept of what a step that failed wrote for people."""


def main() -> int:
    """Runs the steps; returns the exit code: 1 where one failed."""
    parser = argparse.ArgumentParser(description="what only a GPU can show, the cheapest first")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="where the report goes")
    parser.add_argument("--step", action="append", choices=STEPS, help="only this step; may be given again")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of all steps together")
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    reports: list[dict[str, Any]] = []
    for step in given.step or STEPS:
        left = until - time.monotonic()
        if left < 30:
            reports.append({"step": step, "state": "skipped", "verdict": f"{step}: skipped: no time is left"})
        else:
            reports.append(run_step(step, min(60 * STEPS[step], left)))
        print(reports[-1]["verdict"], flush=True)
        # After every step, so that what is known stays where the machine goes away.
        report = {"machine": platform.platform(), "python": platform.python_version(), "steps": reports}
        given.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(report["state"] == "failed" for report in reports))


def run_step(step: str, limit: float) -> dict[str, Any]:
    """Runs one step for `limit` seconds at most; what it printed last is its report and its verdict."""
    start = time.perf_counter()
    command = [sys.executable, "-m", f"benchmarks.gpu.{step}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            # With the processes that it started: they would keep the memory of the GPU from the next step.
            os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate()
            verdict = f"{step}: FAILED: not done in {limit:.0f} s"
            return {"step": step, "state": "failed", "verdict": verdict, "tail": errors[-TAIL:]}
    taken = {"seconds": round(time.perf_counter() - start, 1)}
    try:
        *_, report, verdict = output.strip().splitlines()
        found: dict[str, Any] = json.loads(report)
        return found | {"verdict": verdict} | taken
    except ValueError:
        last = (errors.strip().splitlines() or ["it printed nothing"])[-1]
        verdict = f"{step}: FAILED: exit code {process.returncode}: {last}"
        return {"step": step, "state": "failed", "verdict": verdict, "tail": errors[-TAIL:]} | taken


if __name__ == "__main__":
    sys.exit(main())
