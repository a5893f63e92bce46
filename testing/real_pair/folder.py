"""What the benchmark makes, by name, in a folder of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Made:
    """The folder, and where in it everything is.

    Attributes:
        folder: The user's; all of it can be made again.
    """

    folder: Path

    @property
    def base(self) -> Path:
        """The base model, bfloat16."""
        return self.folder / "base"

    @property
    def data(self) -> Path:
        """Comparisons and prompts, as JSON lines."""
        return self.folder / "data"

    @property
    def reward_model(self) -> Path:
        """The reward model, bfloat16."""
        return self.folder / "reward-model"

    @property
    def replies(self) -> Path:
        """Scored replies of base."""
        return self.folder / "replies"

    @property
    def policy(self) -> Path:
        """The trained policy, float32."""
        return self.folder / "policy"

    @property
    def aligned(self) -> Path:
        """The policy in the precision of base: bfloat16."""
        return self.folder / "aligned"

    @property
    def adapter(self) -> Path:
        """The aligned model as a LoRA adapter over base."""
        return self.folder / "adapter"

    @property
    def run_file(self) -> Path:
        """A run file for the pair with full weights."""
        return self.folder / "run.yaml"

    @property
    def measured(self) -> Path:
        """Rewards and taxes of aligned and of the adapter, as JSON."""
        return self.folder / "measured"

    @property
    def table(self) -> Path:
        """What merges scored, item by item."""
        return self.folder / "table"

    def need(self, path: Path, stage: str) -> Path:
        """A path that an earlier stage makes.

        Raises:
            UserError: It is not there; names the stage.
        """
        if not path.exists():
            raise UserError(f"{path}: missing; first run `python -m benchmarks.real_pair make {stage}`.")
        return path
