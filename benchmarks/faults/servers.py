"""A vLLM server of the user's own that is lost, and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ama_ray.miniature import ROOT
from testing import servers
from testing.search_process import FaultRun

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ("--dtype", "float32", "--kv-cache-gib", "0.25", "--max-model-len", "128")


def lose_a_server(folder: Path, seed: int) -> dict[str, FaultRun]:
    """Kills the only server of a search, and starts it again at its address."""
    folder.mkdir(parents=True)
    server = servers.start(ROOT / "base", ROOT / "rsf", folder / "server.log", *OPTIONS)
    run = FaultRun(folder / "run", {"engine": {"dtype": "float32", "url": server.url}})
    run.start()
    try:
        run.wait_for_results(5)
        printed = len(run.log)
        run.inject(server.kill)
        port = urlsplit(server.url).port or 0
        server = servers.start(ROOT / "base", ROOT / "rsf", folder / "again.log", *OPTIONS, port=port)
        run.time_retry(printed)
        run.finish()
    finally:
        server.kill()
    run.note = "the server's start is not in the seconds"
    return {"engine server: kill -9": run}
