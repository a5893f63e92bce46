"""The examples of docs/ are what the tool takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from ama_ray.config import RunConfig
from ama_ray.probes.presets import PRESETS

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "objectives.md").read_text(encoding="utf-8")
BLOCKS = [
    token.content
    for file in sorted(DOCS.glob("*.md"))
    for token in MarkdownIt().parse(file.read_text(encoding="utf-8"))
    if token.type == "fence" and token.info == "yaml"
]
REST: dict[str, Any] = {
    "base": "base",
    "aligned": "aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "reward.py:score"},
    "tax": [{"preset": "piqa"}],
    "out": "out",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_is_a_part_of_a_run_file(block: str, tmp_path: Path) -> None:
    config = RunConfig.parse(REST | yaml.safe_load(block), "docs", tmp_path)
    assert RunConfig.parse(yaml.safe_load(config.to_yaml()), "again") == config


def test_every_preset_is_named() -> None:
    paragraph = next(part for part in TEXT.split("\n\n") if part.startswith("**Presets**"))
    assert all(name in paragraph for name in PRESETS)
