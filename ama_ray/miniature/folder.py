"""Where the miniature lies."""

from pathlib import Path

ROOT: Path = Path(__file__).resolve().parent
"""The folder of the miniature: checkpoints, `data/`, `reward.py` and `run.yaml`."""
