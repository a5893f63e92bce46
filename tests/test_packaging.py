"""What is installed without a checkout, what is declared for it, and what is locked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import advisories_in, audit
from scripts.lock import lock
from scripts.sbom import sbom

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(requirement: str) -> str:
    """The name of a required package, as the lock writes it."""
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def deptry(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deptry", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def test_packages_are_found_and_not_listed_by_hand() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["ama_ray"], "force-include": {"search_spaces": "ama_ray/search_spaces"}}


@pytest.mark.long
def test_every_file_of_the_package_is_installed(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    files = {file.relative_to(ROOT) for file in (ROOT / "ama_ray").rglob("*") if file.is_file()}
    files |= {Path("ama_ray") / file.relative_to(ROOT) for file in (ROOT / "search_spaces").iterdir()}
    installed = {Path(name) for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert installed == {file for file in files if "__pycache__" not in file.parts}


@pytest.mark.long
@pytest.mark.parametrize("arguments", [["."], ["ama_ray", "--optional-dependencies-dev-groups", "dev"]], ids=" ".join)
def test_what_is_imported_is_declared_and_the_other_way_round(arguments: list[str]) -> None:
    done = deptry(ROOT, *arguments)
    assert done.returncode == 0, done.stderr


def test_what_is_not_declared_or_not_imported_is_seen(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\ndependencies = ["numpy"]\n')
    (tmp_path / "a.py").write_text("import torch\n")
    done = deptry(tmp_path, ".")
    assert done.returncode == 1
    assert "'torch' imported but" in done.stderr
    assert "'numpy' defined as a dependency but not used" in done.stderr


def test_what_is_declared_is_locked() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [*PROJECT["project"]["dependencies"], *extras["cpu"], *extras["lm-eval"], *extras["dev"]]
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert {name_of(requirement) for requirement in declared} <= {line.partition("==")[0] for line in lines}


def test_the_lock_says_what_only_some_pythons_have(tmp_path: Path) -> None:
    required = ["a_b>=1", "c>=1; python_version < '3.13' and extra == 'dev'", 'd; extra == "dev"']
    found = [("ama_ray", "0"), ("c", "3"), ("A_b", "2"), ("d", "4"), ("torchvision", "5")]
    metadata = [{"name": name, "version": version, "requires_dist": required} for name, version in found]
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"install": [{"metadata": each} for each in metadata]}))
    assert locked(report) == ["a-b==2", "c==3; python_version < '3.13'", "d==4"]


def locked(*reports: Path) -> list[str]:
    return [line for line in lock(reports[0], list(reports[1:])).splitlines() if not line.startswith("#")]


def test_the_lock_has_the_hashes_of_every_python(tmp_path: Path) -> None:
    for name, digests in {"report": "00", "3.11": "12", "3.12": "32"}.items():
        found = zip(("a", "ama-ray"), digests, strict=True)
        installed = [
            {
                "metadata": {"name": name, "version": "1", "requires_dist": []},
                "download_info": {"archive_info": {"hashes": {"sha256": digest}}},
            }
            for name, digest in found
        ]
        (tmp_path / name).write_text(json.dumps({"install": installed}))
    reports = [tmp_path / name for name in ("report", "3.11", "3.12")]
    assert locked(*reports) == ["a==1 --hash=sha256:1 --hash=sha256:3"]


def test_every_line_of_the_lock_has_hashes() -> None:
    """But that of PyTorch, which is installed by itself; of the others, pip then refuses whatever has none."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith(("#", "torch=="))]
    assert all(re.search(r"( --hash=sha256:[0-9a-f]{64})+$", line) for line in pins)


def test_the_bill_of_materials_is_of_the_lock() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    made = sbom(text, "1.2")
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert made["metadata"]["component"]["version"] == "1.2"
    assert len(made["components"]) == len(made["dependencies"][0]["dependsOn"]) == text.count("==")
    torch = next(each for each in made["components"] if each["name"] == "torch")
    assert torch["purl"] == f"pkg:pypi/torch@{torch['version'].replace('+', '%2B')}"
    hashes = {each["content"] for component in made["components"] for each in component["hashes"]}
    assert hashes == set(re.findall(r"sha256:(\w+)", text))


def advisory(number: int, name: str, **affected: Any) -> dict[str, Any]:
    return {"id": f"A-{number}", "affected": [{"package": {"ecosystem": "PyPI", "name": name}} | affected]}


def between(*events: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [dict([event]) for event in events]}]}


def test_advisories_on_versions_of_the_lock_are_found(tmp_path: Path) -> None:
    pins = "# a comment\nray==2.60.0 --hash=sha256:ab\ntorch==2.13.0+cpu\nPy_Yaml==6.0.4\nidna==3.7\n"
    hit = [
        advisory(1, "ray", versions=["2.59.0", "2.60.0"]) | {"aliases": ["CVE-1"], "summary": "runs code"},
        advisory(2, "torch", **between(("introduced", "0"), ("fixed", "2.13.1"))),
        advisory(3, "py.yaml", **between(("introduced", "6.0"), ("last_affected", "6.0.4"))),
        advisory(4, "idna", **between(("introduced", "0"), ("fixed", "3.0"), ("introduced", "3.7"))),
    ]
    missed = [
        advisory(5, "ray", versions=["2.6"], **between(("introduced", "2.0"), ("fixed", "2.60.0"))),
        advisory(6, "ray", versions=["2.60.0"]) | {"withdrawn": "2026-01-01T00:00:00Z"},
        advisory(7, "torch", **between(("introduced", "2.13.1"))),
        advisory(8, "pyyaml", versions=["6.0.4"]),
        advisory(9, "idna", **between(("introduced", "0"), ("last_affected", "3.6"))),
        advisory(10, "idna", ranges=[{"type": "GIT", "events": [{"introduced": "0"}]}]),
        {"id": "A-11", "affected": [{"package": {"ecosystem": "npm", "name": "ray"}, "versions": ["2.60.0"]}]},
    ]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for each in [*hit, *missed]:
            archive.writestr(f"{each['id']}.json", json.dumps(each))
    assert audit(pins, advisories_in(tmp_path / "all.zip")) == [
        "idna==3.7: A-4",
        "py-yaml==6.0.4: A-3",
        "ray==2.60.0: A-1, CVE-1: runs code",
        "torch==2.13.0: A-2",
    ]
