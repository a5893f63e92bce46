"""`Lengths`: how long the replies to a request are likely to be, from trials before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Generation


class Lengths:
    """The longest replies that an engine has seen to its requests, whichever merge gave them."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._seen: dict[Generation, int] = {}

    def note(self, request: Generation, replies: Sequence[Reply]) -> None:
        """Takes in the replies of the last trial to a request."""
        self._seen[request] = max(reply.tokens for reply in replies)

    def longest_first(self, requests: Sequence[Generation]) -> list[int]:
        """The places of requests, those with the longest expected replies first.

        A request that was never asked may have a reply as long as is allowed.
        """
        expected = [self._seen.get(request, request.max_tokens) for request in requests]
        return sorted(range(len(requests)), key=lambda place: -expected[place])
