"""Looks the versions of `requirements.lock` up in the advisories of OSV, without a network.

    curl -O https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip
    python -m scripts.audit all.zip

The archive holds every advisory on a package of PyPI, those of PyPA and GitHub among them, in OSV's format
(https://ossf.github.io/osv-schema/). Prints a line for each that a version of the lock has; the exit code is then 1.
Withdrawn advisories do not count. A version with a local part, as PyTorch's build for CPUs, is looked up without it.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from scripts.sbom import LOCK, PIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def audit(lock: str, advisories: Iterable[dict[str, Any]]) -> list[str]:
    """A line for every advisory on a version of a lock.

    Args:
        lock: The text of `requirements.lock`.
        advisories: In OSV's format.
    """
    pins = {_name(match[1]): match[2].partition("+")[0] for line in lock.splitlines() if (match := PIN.match(line))}
    found = set()
    for advisory in advisories:
        for affected in () if advisory.get("withdrawn") else advisory.get("affected", ()):
            package = affected.get("package", {})
            version = pins.get(_name(package.get("name", ""))) if package.get("ecosystem") == "PyPI" else None
            if version and (version in affected.get("versions", ()) or _in_range(version, affected.get("ranges", ()))):
                names = ", ".join([advisory["id"], *advisory.get("aliases", ())])
                found.add(f"{_name(package['name'])}=={version}: {names}: {advisory.get('summary', '')}".strip(": "))
    return sorted(found)


def advisories_in(database: Path) -> Iterator[dict[str, Any]]:
    """The advisories of OSV's archive."""
    with zipfile.ZipFile(database) as archive:
        for name in archive.namelist():
            yield json.loads(archive.read(name))


def _in_range(version: str, ranges: Iterable[dict[str, Any]]) -> bool:
    """Whether a version lies in a range of versions: from one that introduced a fault to one before it was fixed."""
    for each in ranges:
        if each["type"] == "GIT":
            continue
        inside = False
        # Events are in no order that the format says.
        for kind, at in sorted((pair for event in each["events"] for pair in event.items()), key=_when):
            if kind == "introduced" and _version(at) <= Version(version):
                inside = True
            elif (kind == "fixed" and _version(at) <= Version(version)) or (
                kind == "last_affected" and _version(at) < Version(version)
            ):
                inside = False
        if inside:
            return True
    return False


def _when(event: tuple[str, str]) -> tuple[Version, bool]:
    return _version(event[1]), event[0] == "introduced"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:  # such as git's in an old advisory: before all others
        return Version("0")


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    lines = audit(LOCK.read_text(encoding="utf-8"), advisories_in(Path(sys.argv[1])))
    print("\n".join(lines) or "no advisory on a version of the lock")
    sys.exit(bool(lines))
