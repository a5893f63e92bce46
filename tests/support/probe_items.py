"""Rows, and probes prepared from files, for tests of the probe kinds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ama_ray.config import FileProbe, Probe
from ama_ray.data.rows import Row
from ama_ray.probes import registry as probes
from ama_ray.probes.base import PreparedProbe
from tests.support.words import WordTokenizer

Fields = dict[str, Any]


CHOICE = {"prompt": "q", "choices": ["a", "b"], "gold": 1}
ANSWER = {"prompt": "q", "answer": "9"}
TEXT = {"text": "a b c"}
KINDS: dict[str, tuple[Fields, str]] = {
    "choice": (CHOICE, "mean"),
    "letter": (CHOICE, "mean"),
    "calibration": (CHOICE, "calibration"),
    "exact": (ANSWER, "mean"),
    "f1": (ANSWER, "mean"),
    "number": (ANSWER, "mean"),
    "function": (ANSWER, "mean"),
    "math": (ANSWER, "mean"),
    "code": ({"prompt": "q", "test": "assert f(1) == 2", "answer": "def f(x): return 2"}, "mean"),
    "regex": ({"prompt": "q", "pattern": "9", "answer": "9"}, "mean"),
    "json": ({"prompt": "q", "answer": "9"}, "mean"),
    "bleu": (ANSWER, "bleu"),
    "chrf": (ANSWER, "chrf"),
    "perplexity": (TEXT, "perplexity"),
    "bits-per-byte": (TEXT, "bits-per-byte"),
    "kl": (TEXT, "kl"),
}


def moved(row: Fields) -> Fields:
    """An item like this one that asks something else."""
    return row | {name: row[name] + " later" for name in ("prompt", "text") if name in row}


class TextTokenizer(WordTokenizer):
    """A word tokenizer that says what its first token is, and has a chat template."""

    bos_token_id = 0
    chat_template = "a template"

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, **kwargs: Any
    ) -> str:
        return "".join(f"<{message['role']}> {message['content']} " for message in conversation) + "<model> "


class PieceTokenizer:
    """A token per letter, but for some longer pieces; a space is a part of the piece after it."""

    chat_template = None
    all_special_tokens: list[str] = []  # noqa: RUF012
    bos_token_id = None
    eos_token_id = 1

    def get_added_vocab(self) -> dict[str, int]:
        return {}

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        tokens = []
        while text:
            piece = next((piece for piece in self._pieces if text.startswith(piece)), text[0])
            tokens.append(sum(ord(letter) << 8 * i for i, letter in enumerate(piece)))
            text = text.removeprefix(piece)
        return tokens

    def apply_chat_template(
        self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool, **kwargs: Any
    ) -> str:
        raise NotImplementedError


def rows(*fields: Fields) -> list[Row]:
    return [Row(each, f"items.jsonl, line {number}") for number, each in enumerate(fields, start=1)]


def write(file: Path, items: Sequence[Fields]) -> Path:
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return file


def probe(folder: Path, kind: str, search: Sequence[Fields], report: Sequence[Fields], **settings: Any) -> FileProbe:
    """A probe named `p` on files that it writes."""
    source = {
        "file": write(folder / "items.jsonl", search),
        "report_file": write(folder / "later.jsonl", report),
    }
    own = {"sandbox": "none"} if kind == "code" else {}  # what some machines do not have has tests of its own
    if kind == "function":
        (folder / "scorer.py").write_text("def score(rows, replies):\n    return [0.5 for _ in replies]\n")
        own["scorer"] = f"{folder}/scorer.py:score"
    fields = {"name": "p", "family": "f", "kind": kind, **own, **source, **settings}
    made: FileProbe = TypeAdapter[Any](Probe).validate_python(fields)
    return made


def prepare(made: FileProbe, tokenizer: Any = None, limit: int | None = None) -> tuple[PreparedProbe, PreparedProbe]:
    prepared = probes.prepare(made, tokenizer or TextTokenizer(), 0.5, limit)
    return prepared["search"], prepared["report"]
