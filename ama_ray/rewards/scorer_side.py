"""What stands between a worker and a scorer of the user in the process of the two."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from ama_ray.engine.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Callable


def adapted(scorer: Callable[..., Any]) -> Callable[..., Any]:
    """A scorer as a function of rows, of replies as their fields, and of what comes after."""
    takes_replies = _takes_replies(scorer)

    def score(rows: list[dict[str, Any]], replies: list[dict[str, Any]], *more: Any) -> Any:
        given = [Reply(**fields) if takes_replies else fields["text"] for fields in replies]
        return scorer(rows, given, *more)

    return score


def _takes_replies(scorer: Callable[..., Any]) -> bool:
    """Whether its second parameter is annotated with `Reply`; else it takes texts."""
    _, replies, *_ = [*inspect.signature(scorer).parameters.values(), None, None]
    return replies is not None and re.search(r"\bReply\b", str(replies.annotation)) is not None
