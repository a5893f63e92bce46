"""What every test of the tasks of lm-evaluation-harness has beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def few_tasks_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Makes the harness have one task of its own: to read the files of its thousands takes ten seconds."""
    manager = pytest.importorskip("lm_eval.tasks.manager")
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.yaml").write_text("task: own\ndataset_path: json\noutput_type: multiple_choice\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager, "__file__", str(folder / "manager.py"))
        yield
