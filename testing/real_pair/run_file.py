"""The run file of the pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from testing.real_pair.comparisons import MAX_REPLY, REPORT_PROMPTS, SEARCH_PROMPTS

if TYPE_CHECKING:
    from pathlib import Path

    from testing.real_pair.folder import Made

PROMPTS = 200
"""Most prompts of a split."""
PROBES = {"arc_easy": ("arc/ARC-Easy.test.json", 400), "piqa": ("piqa/valid.jsonl", 200)}
"""By preset, its file in the folder of data, and the items of each split."""


def fields(made: Made, data: Path) -> dict[str, Any]:
    """The fields of the run file, all paths absolute.

    Args:
        made: What was made.
        data: The folder of the benchmarks' files.
    """
    folder, data = made.data.resolve(), data.resolve()
    return {
        "base": str(made.base.resolve()),
        "aligned": str(made.aligned.resolve()),
        "space": "profile",
        "reward": {
            "kind": "model",
            "model": str(made.reward_model.resolve()),
            "prompts": {
                "file": str(folder / SEARCH_PROMPTS),
                "report_file": str(folder / REPORT_PROMPTS),
                "chat": True,
                "items": PROMPTS,
            },
            "sampling": {"max_tokens": MAX_REPLY, "temperature": 1.0, "n": 1},
        },
        "tax": [{"preset": name, "file": str(data / file), "items": items} for name, (file, items) in PROBES.items()],
        # ARC and PIQA have no other files here; nothing is reported on them but this benchmark.
        "allow_test_split": True,
        "trials": 24,
        "out": str((made.folder / "run").resolve()),
    }


def make(made: Made, data: Path) -> None:
    """Writes the run file."""
    text = "# A real pair: `ama-ray search` on this file. Made by `python -m benchmarks.real_pair make run-file`.\n"
    made.run_file.write_text(text + yaml.safe_dump(fields(made, data), sort_keys=False), encoding="utf-8")
