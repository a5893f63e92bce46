"""Sample replies of every trial that the report scored, on disk, so that people can read what a ratio vector says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROMPTS = 4
"""How many prompts have their first reply kept."""


@dataclass(frozen=True)
class Reply:
    """The first sampled reply to a prompt; the same prompts and seeds in every trial."""

    prompt: str
    reply: str


@dataclass(frozen=True)
class ReplyStore:
    """`replies.jsonl` of a run: a line per trial and prompt, with the keys `trial`, `prompt` and `reply`."""

    path: Path

    def write(self, number: int, replies: Sequence[Reply]) -> None:
        """Puts the replies of a trial in the place of those it had, in one step."""
        everything = self.read() | {number: tuple(replies)}
        with replacing(self.path) as file:
            for trial in sorted(everything):
                for each in everything[trial]:
                    line = {"trial": trial, "prompt": each.prompt, "reply": each.reply}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def read(self) -> dict[int, tuple[Reply, ...]]:
        """The replies by trial; empty where there is no file, as in runs of before it was written.

        Raises:
            UserError: The file cannot be read.
        """
        found: dict[int, tuple[Reply, ...]] = {}
        try:
            with self.path.open(encoding="utf-8") as file:
                for line in map(json.loads, file):
                    number = int(line["trial"])
                    found[number] = (*found.get(number, ()), Reply(str(line["prompt"]), str(line["reply"])))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: not a readable file of replies ({error}); remove it.") from None
        return found
