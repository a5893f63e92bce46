"""Prints what a release is installed with, as a bill of materials: CycloneDX 1.6, of `requirements.lock`.

python -m scripts.sbom > sbom.cdx.json
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ama_ray import __version__

LOCK = Path(__file__).parents[1] / "requirements.lock"
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def sbom(lock: str, version: str) -> dict[str, Any]:
    """The bill of materials.

    Args:
        lock: The text of `requirements.lock`.
        version: Of this package.
    """
    ours = {"type": "application", "name": "ama_ray", "version": version, "bom-ref": "ama_ray"}
    components = [_component(match[1], match[2], line) for line in lock.splitlines() if (match := PIN.match(line))]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours | {"licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [{"ref": "ama_ray", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _component(name: str, version: str, line: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
    hashes = [{"alg": "SHA-256", "content": each} for each in HASH.findall(line)]
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, "hashes": hashes}


if __name__ == "__main__":
    print(json.dumps(sbom(LOCK.read_text(encoding="utf-8"), __version__), indent=2))
