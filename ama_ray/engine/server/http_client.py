"""HTTP to one's own servers, those of `ama-ray engine` and of `ama-ray serve`. Imports no vllm."""

from __future__ import annotations

import httpx

CONNECT = 10.0
"""Seconds for a connection."""


def client(url: str, key: str | None) -> httpx.Client:
    """A client that waits for answers as long as they take.

    Args:
        url: The address of the server.
        key: That it wants, if any.
    """
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    # Proxies of the environment are not for one's own servers.
    return httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(None, connect=CONNECT), trust_env=False)
