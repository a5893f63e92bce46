"""Rewards on small prompt files, as a run prepares them."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ama_ray.config import Report, Reward
from ama_ray.rewards import registry
from ama_ray.rewards.base import PreparedReward
from tests.support.words import WordTokenizer

ROWS: list[dict[str, Any]] = [
    {"prompt": "a b", "weight": 2, "reference": "first"},
    {"prompt": "c", "weight": 3, "reference": "second"},
]
LATER: list[dict[str, Any]] = [{"prompt": "later", "weight": 5, "reference": "third"}]

_SETTINGS: TypeAdapter[Reward] = TypeAdapter(Reward)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(
    folder: Path,
    rows: list[dict[str, Any]] = ROWS,
    later: list[dict[str, Any]] = LATER,
    sampling: dict[str, Any] | None = None,
    **fields: Any,
) -> Reward:
    prompts = {
        "file": write(folder / "prompts.jsonl", rows),
        "report_file": write(folder / "later.jsonl", later),
        "chat": isinstance(rows[0]["prompt"], list),
    }
    return _SETTINGS.validate_python({"prompts": prompts, "sampling": sampling or {}} | fields)


def prepare(folder: Path, seed: int = 7, **fields: Any) -> tuple[PreparedReward, PreparedReward]:
    prepared = registry.prepare(settings(folder, **fields), ChatWords(), seed, Report())
    return prepared["search"], prepared["report"]


class ChatWords(WordTokenizer):
    chat_template = "words"

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, **kwargs: Any
    ) -> str:
        return " ".join(message["content"] for message in conversation)
