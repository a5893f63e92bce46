"""`Lengths`: how long the replies to a request are likely to be, from trials before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.engine.requests import Generation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Request


class Lengths:
    """How long an engine's last replies to its requests were, whichever merge gave them."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._seen: dict[Generation, int] = {}

    def note(self, request: Request, replies: Sequence[Reply]) -> None:
        """Takes in the replies of the last trial to a request."""
        assert isinstance(request, Generation)
        self._seen[request] = max(reply.tokens for reply in replies)

    def longest_first(self, requests: Sequence[Request], places: Sequence[int]) -> list[int]:
        """The places of requests, those with the longest expected replies first.

        A request that was never asked may have a reply as long as is allowed.

        Args:
            requests: All requests.
            places: Of those that are for replies.
        """

        def expected(place: int) -> int:
            request = requests[place]
            assert isinstance(request, Generation)
            return self._seen.get(request, request.max_tokens)

        return sorted(places, key=expected, reverse=True)
