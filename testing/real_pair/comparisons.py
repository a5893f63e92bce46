"""HH-RLHF (Bai et al., 2022, arXiv 2204.05862): dialogues with two last replies, of which people chose one."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.merging import complete_folder
from ama_ray.data import splits
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ama_ray.data.prompting import Tokenizer
    from ama_ray.rewards.chat import ChatMessage

MAX_PROMPT = 128
"""Most tokens of a prompt, the chat template included."""
MAX_REPLY = 32
"""Most tokens of a reply: sampled ones end there, and those of the comparisons are cut, so that length says less."""
HELD_OUT = 0.4
"""Of the prompts, what no training sees."""
REPORT = 0.8
"""Of the held-out prompts, what only the report split has."""
TRAIN, TEST = "train.jsonl", "test.jsonl"
SEARCH_PROMPTS, REPORT_PROMPTS, TRAIN_PROMPTS = "search-prompts.jsonl", "report-prompts.jsonl", "train-prompts.jsonl"

_TURN = re.compile(r"\n\n(Human|Assistant): ?")
_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True)
class Comparison:
    """One dialogue and two replies.

    Attributes:
        prompt: Messages (`role`, `content`), the last one of the user.
        chosen: The reply that people chose.
        rejected: The other one.
    """

    prompt: list[ChatMessage]
    chosen: str
    rejected: str


def make(file: Path, tokenizer: Tokenizer, out: Path) -> None:
    """Writes comparisons and prompts of HH-RLHF, divided by how the dialogue begins, so that no other half knows it.

    Args:
        file: A file of HH-RLHF, JSON lines, gzip or plain.
        tokenizer: Of base; prompts longer than `MAX_PROMPT` are left out.
        out: A new folder.
    """
    short = [each for each in read(file) if _length(each.prompt, tokenizer) <= MAX_PROMPT]
    train, test = divide(short, HELD_OUT, "held out")
    search, report = divide(test, REPORT, "report")
    with complete_folder(out) as folder:
        _write(folder / TRAIN, [asdict(each) for each in train])
        _write(folder / TEST, [asdict(each) for each in test])
        for name, half in ((TRAIN_PROMPTS, train), (SEARCH_PROMPTS, search), (REPORT_PROMPTS, report)):
            prompts = {json.dumps(each.prompt): each.prompt for each in half}
            _write(folder / name, [{"prompt": prompt} for prompt in prompts.values()])


def read(file: Path) -> list[Comparison]:
    """The comparisons of a file; dialogues that differ before the last reply, a few, are left out.

    Raises:
        UserError: A line has no `chosen` and `rejected`, or there are no dialogues.
    """
    comparisons = list(_parsed(file))
    if not comparisons:
        raise UserError(f"{file}: has no dialogues; name a file of HH-RLHF such as harmless-base/test.jsonl.gz.")
    return comparisons


def load(file: Path) -> list[Comparison]:
    """Comparisons that `make` wrote."""
    return [Comparison(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def divide(comparisons: Sequence[Comparison], share: float, key: str) -> tuple[list[Comparison], list[Comparison]]:
    """Divides comparisons by a hash of the first message: two that begin alike are in one half.

    Args:
        comparisons: All of them.
        share: Of the second half, in expectation (0-1).
        key: A name for this division, so that another one is independent of it.
    """
    in_second = [splits.draw(f"{key} {each.prompt[0]['content']}") < share for each in comparisons]
    halves: tuple[list[Comparison], list[Comparison]] = [], []
    for each, second in zip(comparisons, in_second, strict=True):
        halves[second].append(each)
    return halves


def _parsed(file: Path) -> Iterator[Comparison]:
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            fields = json.loads(line)
            chosen, rejected = _turns(fields["chosen"]), _turns(fields["rejected"])
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{file}, line {number}: not a pair of HH-RLHF, with `chosen` and `rejected`.") from None
        *prompt, last = chosen
        if prompt and prompt == rejected[:-1] and prompt[-1]["role"] == "user" and last["role"] == "assistant":
            yield Comparison(prompt, last["content"], rejected[-1]["content"])


def _turns(dialogue: str) -> list[ChatMessage]:
    parts = _TURN.split(dialogue)
    return [{"role": _ROLES[who], "content": said.strip()} for who, said in zip(parts[1::2], parts[2::2], strict=True)]


def _length(prompt: list[ChatMessage], tokenizer: Tokenizer) -> int:
    text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    return len(tokenizer.encode(text, add_special_tokens=False))


def _write(file: Path, rows: Sequence[Any]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
