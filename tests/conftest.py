from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says more about the machine than about the code.
settings.register_profile("ama_ray", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("ama_ray")

# Before torch is imported. The tests' models are tiny, and more threads than free cores spin instead of working.
os.environ["OMP_NUM_THREADS"] = "1"
# Ray's workers would wait for every other process of the tests, and the tests for Ray's workers.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (Ray names it so)


LONGEST_FIRST = (
    "tests/integration/test_search.py",
    "tests/engine/test_equality.py",
    "tests/integration/test_faults.py",
    "tests/integration/test_docs_run.py",
    "tests/integration",
    "tests/engine",
    "tests/tuning",
    "tests/rewards",
)
"""Two processes share the files of tests, one after another: what takes minutes must not be the last of them.

The first file has done the deep check of the miniature when the third one begins; otherwise both would do it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((i for i, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name)), len(LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def quiet_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests and their processes inherit: no network, and caches of their own, empty at the start.

    No certificates of authorities either: each client of HTTP would read all of them, for servers on loopback. Nor does
    anything wait until its bytes are on the disk, as no test cuts the power.

    The processes that share the tests share the caches, so that a deep check is done once in all.
    """
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(folder))
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
