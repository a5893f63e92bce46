"""What a verifier is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.rows import Row


class Verifier(ABC):
    """Tells whether replies are right. It is sent to the processes of the trials, so it holds no process of its own."""

    def vote(self, reply: str) -> str | None:
        """The answer in a reply, the same text for replies that answer the same; None where it has none."""
        return reply.strip() or None

    @abstractmethod
    def read(self, row: Row) -> Any:
        """What replies to a row are held against.

        Raises:
            UserError: The row lacks it, or it is nothing that a reply could be held against.
        """

    @abstractmethod
    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """1 for each reply that is right, else 0.

        Args:
            replies: Texts.
            rights: For each, what `read` made of its row.
        """

    def findings(self) -> str:
        """What `ama-ray check` says of it on this machine, one line; empty where nothing is to say."""
        return ""
