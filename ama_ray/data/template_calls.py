"""What runs in the process of `chat_template.render`: a template may be a stranger's, and compute without end."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

MOST = 2**23
"""Characters that a conversation may have."""
_ROOM = 2**30
"""Bytes that a template may take beside what Python and its libraries have."""


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _ROOM, hard))


_limit_memory()


def rendered(template: str, conversation: list[dict[str, Any]], told: dict[str, Any]) -> list[int]:
    """The bytes of a conversation's text."""
    (text,), _ = render_jinja_template([conversation], chat_template=template, **told)
    if len(text) > MOST:
        raise ValueError(f"it writes more than {MOST} characters")
    return list(text.encode("utf-8", "surrogatepass"))
