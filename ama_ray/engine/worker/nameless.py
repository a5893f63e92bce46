"""Takes the names off the memory that vLLM's processes share, so that nothing is left of it however they end.

They leave them to Python's resource tracker, which Ray kills with the processes of an actor that died.
"""

from __future__ import annotations

import gc
import os
from glob import escape
from pathlib import Path

SHARED = Path("/dev/shm")


def drop_names() -> None:
    """Takes the names off what this process has made, once all of an engine's processes have opened it."""
    from vllm.distributed.device_communicators.shm_broadcast import ShmRingBuffer

    is_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()  # what vLLM has frozen after its start would not be found
    for thing in gc.get_objects():
        if type(thing) is ShmRingBuffer and thing.is_creator:
            thing.shared_memory.unlink()
            thing.is_creator = False  # else it would unlink again in the end
    if is_frozen:
        gc.freeze()
    # On some CPUs sums go through memory of their own, which is named in vLLM's compiled part.
    if engine := os.environ.get("VLLM_DIST_IDENT"):
        for file in SHARED.glob(f"{escape(engine)}-*-cpushm_*"):
            file.unlink(missing_ok=True)
