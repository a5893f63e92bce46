"""The fenced blocks of README and docs/, and the commands in them.

The first word after the fence is the language, none for commands; a second word is the file that the text makes.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


RUN = {
    "check",
    "compare",
    "export",
    "extend",
    "init",
    "pick",
    "plan",
    "report",
    "resume",
    "search",
    "show",
    "table",
    "verify",
}
"""The commands that tests/integration/test_docs_run.py runs as they stand; `extend` with two trials more instead of
forty, `init` with answers."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `file` is empty where it makes none."""

    page: str
    language: str
    file: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command, without comments."""
        return [words for line in self.text.splitlines() if (words := shlex.split(line, comments=True))]


def blocks() -> list[Block]:
    """All of them, in the order of the pages."""
    found = []
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
            if token.type == "fence":
                language, _, file = token.info.partition(" ")
                found.append(Block(page.name, language, file, token.content))
    return found


def inline() -> list[str]:
    """The inline code that is a command."""
    tokens = [token for page in PAGES for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))]
    code = [child.content for token in tokens for child in token.children or [] if child.type == "code_inline"]
    return sorted({text for text in code if text.startswith(("ama-ray ", "python ", "pytest "))})
