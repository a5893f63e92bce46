"""The acceptance run for a GPU, on a machine without: every step says what it can do here, and what it left out."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
TORCH_AND_NUMPY = (
    *("torch", "torchgen", "functorch", "numpy", "numpy.libs", "typing_extensions.py", "sympy", "mpmath", "networkx"),
    *("filelock", "fsspec", "jinja2", "markupsafe"),
)
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU these take their minutes")


def step(module: str, *options: str, python: tuple[str, ...] = (), path: str = "") -> tuple[int, dict[str, Any], str]:
    """Runs one; returns its exit code, its report and its verdict."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(ROOT)]))}
    done = subprocess.run(
        [sys.executable, *python, "-m", f"benchmarks.gpu.{module}", *options],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    *_, report, verdict = done.stdout.splitlines() or ["", done.stderr, ""]
    assert report.startswith("{"), done.stderr
    return done.returncode, json.loads(report), verdict


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with PyTorch and NumPy, and what these need, alone."""
    folder = tmp_path_factory.mktemp("bare")
    packages = Path(torch.__file__).parents[1]
    for name in TORCH_AND_NUMPY:
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("module", ["torch_alone", "streams"])
def test_the_first_steps_need_pytorch_alone(module: str, bare: Path) -> None:
    code, report, verdict = step(module, python=("-S",), path=str(bare))
    assert (code, report["state"]) == (0, "passed")
    assert report["checks"]
    assert report["left_out"]
    assert verdict.startswith(f"{module}: passed on CPU")


@pytest.mark.long
@pytest.mark.parametrize("module", ["small_engine", "fresh_process", "large_engine", "further"])
def test_the_others_say_in_a_line_that_vllm_is_missing(module: str, bare: Path) -> None:
    code, report, verdict = step(module, python=("-S",), path=str(bare))
    assert (code, report["state"]) == (0, "skipped")
    assert verdict == f"{module}: skipped: vllm, transformers is not installed here"


@pytest.mark.long
def test_all_of_it_is_one_report(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu.accept", "--out", str(out), "--step", "torch_alone"]
    done = subprocess.run([*command, "--step", "streams"], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps = json.loads(out.read_text())["steps"]
    assert [each["step"] for each in steps] == ["torch_alone", "streams"]
    assert done.stdout.splitlines() == [each["verdict"] for each in steps]
    assert all(each["state"] == "passed" for each in steps)
    done = subprocess.run([*command, "--minutes", "0"], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "torch_alone: skipped: no time is left\n"


STUCK = """
from benchmarks.gpu import accept
import sys
if __name__ == "__main__":
    accept.sys.executable = sys.argv[1]
    print(accept.run_step("stuck", 3)["verdict"])
"""


@pytest.mark.long
def test_a_step_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    """What it started would keep the GPU's memory from the next step."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nwait\n")
    python.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(python)], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "stuck: FAILED: not done in 3 s\n", done.stderr
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(child)


def alive(process: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parts(*options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu.parts", *map(str, options)]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_packages_arrive_in_parts(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(100_000)  # does not get smaller
    for name, files in {
        "one": {"one/__init__.py": b"from one import _kernel", "one/_kernel.so": noise, "one/_unused_fa2.so": noise},
        "two": {"two.py": b"x = 2"},
    }.items():
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as wheel:
            for file, content in files.items():
                wheel.writestr(file, content)
    out, into = tmp_path / "parts", tmp_path / "packages"
    wheels = [tmp_path / "one.whl", tmp_path / "two.whl"]
    done = parts("pack", "--out", out, "--without", "one/_unused*", "--megabytes", "0.03", *wheels)
    assert done.stdout.split() == [f"part-{number:03d}" for number in range(4)], done.stderr
    assert max(path.stat().st_size for path in out.iterdir()) <= 30_000
    assert parts("unpack", out, "--into", into).returncode == 0
    found = {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}
    assert found == {"one/__init__.py": b"from one import _kernel", "one/_kernel.so": noise, "two.py": b"x = 2"}
    second = out / "part-001"
    second.write_bytes(second.read_bytes()[:-1])
    assert parts("unpack", out, "--into", into).stderr.endswith("part-001 is damaged; bring it again\n")
    second.unlink()
    assert parts("unpack", out, "--into", into).stderr.endswith("part-001 has not arrived\n")


@pytest.mark.engine
@pytest.mark.parametrize(
    "module",
    [
        "small_engine",
        pytest.param("fresh_process", marks=pytest.mark.slow),
        pytest.param("large_engine", marks=pytest.mark.slow),
        pytest.param("further", marks=pytest.mark.slow),
    ],
)
def test_what_a_cpu_can_show_it_shows(module: str) -> None:
    code, report, verdict = step(module)
    assert (code, report["state"]) == (0, "passed"), verdict
    assert report["figures"]
    assert len(report["left_out"]) == 1
