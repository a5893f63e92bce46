"""Real models of text and images or sound: which group every tensor is in, by their published configurations.

`python -m tests.checkpoints.test_real_configs` writes the tables again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.real_configs import table

pytestmark = pytest.mark.long
CONFIGS = sorted((Path(__file__).parent / "real").glob("*.json"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_tensor_is_in_its_group(file: Path) -> None:
    assert table(file) == file.with_suffix(".txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    for each in CONFIGS:
        each.with_suffix(".txt").write_text(table(each), encoding="utf-8")
