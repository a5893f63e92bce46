"""The rules of CONTRIBUTING.md, kept by the sources as they stand, and each broken once on purpose."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ama_ray.storage import names
from tests.support import rules
from tests.support.source import Module, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[1]
PACKAGE = modules(ROOT, "ama_ray")
ALL = [*PACKAGE, *modules(ROOT, "benchmarks", "scripts", "testing", "tests")]
CORE = ("analysis/", "config/", "pareto/", "scores/", "space/")
HEAVY = ("torch", "ray", "vllm", "transformers")
PRIVATE_TO_OTHERS = {
    "ama_ray/engine/in_process.py": "torch",
    "ama_ray/engine/worker/vllm_patches.py": "vllm",
    "ama_ray/probes/lm_eval/": "lm-eval",
    "ama_ray/scores/sacrebleu_internals.py": "sacrebleu",
    "ama_ray/tuning/optuna_internals.py": "optuna",
    "ama_ray/tuning/ray_internals.py": "ray",
    "ama_ray/tuning/tensorboard_internals.py": "ray",
}
"""The files of the package that may use private names of others, and of which package's."""
RUN_FILES = {value for name, value in vars(names).items() if name.isupper()}


def order() -> list[str]:
    """The rooms from the top down, as docs/architecture.md lists them."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| room |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE)


def test_1_there_is_no_import_cycle() -> None:
    assert rules.cycles(ALL) == []


def test_2_a_room_imports_only_rooms_below_it() -> None:
    assert rules.against_order(PACKAGE, order()) == []


@pytest.mark.parametrize(
    ("package", "rooms"),
    [("vllm", ["engine/"]), ("ray", ["tuning/", "jobs/"]), ("cloudpickle", ["storage/", "processes/"])],
)
def test_3_only_some_rooms_import(package: str, rooms: Sequence[str]) -> None:
    assert rules.imports_outside(PACKAGE, package, rooms) == []


def test_4_the_core_is_pure_in_its_sources() -> None:
    assert rules.impure(PACKAGE, CORE, HEAVY) == []
    assert {*CORE} <= {*order()}


def test_4_the_core_is_pure_when_it_runs() -> None:
    core = [module.name for module in PACKAGE if module.room in CORE]
    lines = [*(f"import {name}" for name in core), "import sys", f"print(*sorted({{*{HEAVY}}} & {{*sys.modules}}))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_5_private_names_of_others_stand_in_few_files() -> None:
    assert rules.foreign_privates(PACKAGE, PRIVATE_TO_OTHERS.keys()) == []


@pytest.mark.parametrize("package", sorted(set(PRIVATE_TO_OTHERS.values())))
def test_5_a_package_whose_privates_are_used_has_an_upper_bound(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    ours = [each for each in required if re.match(rf"{package}(-cpu)?(\[[\w,]+\])?[<>=]", each)]
    assert ours
    assert all("<" in each for each in ours)


def test_6_an_init_file_defines_nothing() -> None:
    assert rules.definitions_in_packages(PACKAGE) == []


def test_7_names_of_a_runs_files_stand_in_storage() -> None:
    assert rules.file_names(PACKAGE, RUN_FILES, "storage/") == []


def test_8_no_two_types_have_one_name() -> None:
    assert rules.types_of_one_name(PACKAGE) == []


def test_9_no_module_is_long() -> None:
    assert rules.long_modules(ALL) == []


def test_10_tests_share_only_what_is_in_support() -> None:
    assert rules.around_tests(ALL) == []


def planted(file: str, text: str, *, beside: str = "ama_ray/errors.py") -> list[Module]:
    """A module as it should not be, and one beside it that it can import."""
    return [Module(file, text), Module(beside, "import os\n")]


BROKEN: dict[str, Callable[[], list[str]]] = {
    "1": lambda: rules.cycles(
        [Module("ama_ray/a.py", "def f():\n    from ama_ray import b"), Module("ama_ray/b.py", "import ama_ray.a")]
    ),
    "1 by a type": lambda: rules.cycles(
        [
            Module("ama_ray/a.py", "if TYPE_CHECKING:\n    from ama_ray.b import B"),
            Module("ama_ray/b.py", "from ama_ray.a import A"),
        ]
    ),
    "2": lambda: rules.against_order(
        planted("ama_ray/low/a.py", "if TYPE_CHECKING:\n    from ama_ray.errors import E"), ["errors.py", "low/"]
    ),
    "2 by a room that is not on the page": lambda: rules.against_order(planted("ama_ray/new/a.py", ""), ["errors.py"]),
    "2 by a room that is only on the page": lambda: rules.against_order(
        planted("ama_ray/a/a.py", ""), ["errors.py", "a/", "gone/"]
    ),
    "3": lambda: rules.imports_outside(planted("ama_ray/a/a.py", "from ray import cloudpickle"), "ray", ["tuning/"]),
    "3 by a string": lambda: rules.imports_outside(
        planted("ama_ray/a/a.py", "import_module('vllm.config')"), "vllm", ["engine/"]
    ),
    "4": lambda: rules.impure(planted("ama_ray/scores/a.py", "def f():\n    import torch.nn"), CORE, HEAVY),
    "5 by an attribute": lambda: rules.foreign_privates(planted("ama_ray/a.py", "print(engine._llm)"), []),
    "5 by an import": lambda: rules.foreign_privates(planted("ama_ray/a.py", "from ray._private import state"), []),
    "5 by a string": lambda: rules.foreign_privates(planted("ama_ray/a.py", "getattr(task, '_config')"), []),
    "5 by inheritance": lambda: rules.foreign_privates(
        planted("ama_ray/a.py", "class A(Base):\n    def f(self):\n        return self._writer"), []
    ),
    "5 by a file that needs it no more": lambda: rules.foreign_privates(planted("ama_ray/a.py", ""), ["ama_ray/a.py"]),
    "6": lambda: rules.definitions_in_packages(planted("ama_ray/a/__init__.py", "def f() -> None: ...")),
    "6 by a value": lambda: rules.definitions_in_packages(planted("ama_ray/a/__init__.py", "TABLE = {}")),
    "6 in the root": lambda: rules.definitions_in_packages(planted("ama_ray/__init__.py", "class A: ...")),
    "7": lambda: rules.file_names(planted("ama_ray/a/a.py", "open(folder / 'trials.csv')"), RUN_FILES, "storage/"),
    "7 by a folder": lambda: rules.file_names(planted("ama_ray/a/a.py", "x = folder / 'items'"), RUN_FILES, "storage/"),
    "8": lambda: rules.types_of_one_name(
        [Module("ama_ray/a.py", "class Row: ..."), Module("ama_ray/b.py", "Row = dict[str, int]")]
    ),
    "9": lambda: rules.long_modules(planted("ama_ray/a.py", "x = 1\n" * 301)),
    "10 by a test": lambda: rules.around_tests(planted("tests/test_a.py", "from tests.test_b import RANGES")),
    "10 by a conftest": lambda: rules.around_tests(planted("tests/a/test_a.py", "from tests.conftest import made_up")),
    "10 by a benchmark's test": lambda: rules.around_tests(planted("tests/test_a.py", "import benchmarks.front.front")),
    "10 by a benchmark": lambda: rules.around_tests(planted("benchmarks/a.py", "from tests.support.trials import f")),
    "10 by something private": lambda: rules.around_tests(planted("benchmarks/a.py", "from ama_ray.run import _x")),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_seen(rule: str) -> None:
    (complaint,) = BROKEN[rule]()
    assert complaint
