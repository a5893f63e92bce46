"""Step 2, with PyTorch alone: swaps of large buffers in every place, against plain copies of the same bytes.

python -m benchmarks.gpu.streams
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ama_ray.engine.placement import LOCKED, ON_ACCELERATOR
from ama_ray.engine.worker.host_lock import HostLock
from ama_ray.engine.worker.interpolation import Piece
from benchmarks.gpu.measure import copying, device, device_name, drawn, seconds, writing
from benchmarks.gpu.outcome import Outcome

if TYPE_CHECKING:
    from ama_ray.engine.placement import Place

BUFFER = 2**25
"""Elements of a buffer: about those of a large matrix."""
SIZES = (0.5, 2.0, 16.0)
"""GB of an endpoint."""
RATIO = 0.3
MOST_OF_MEMORY = 0.8


def main() -> None:
    """Measures every size; the largest must be close to the copies."""
    outcome = Outcome("streams", device_name())
    if not torch.cuda.is_available():
        _on_cpu(outcome)
    else:
        _, memory = torch.cuda.mem_get_info()
        sizes = [size for size in SIZES if 3e9 * size <= MOST_OF_MEMORY * memory]
        for size in sizes:
            _measure(outcome, size, check=size == sizes[-1])
    outcome.finish()


def _on_cpu(outcome: Outcome) -> None:
    outcome.left_out.append("copies between host and GPU")
    base, aligned, live = (drawn((BUFFER // 4,), torch.bfloat16) for _ in range(3))
    taken = seconds(writing([Piece(("all",), base, (aligned,), live)], RATIO, locked=False))
    outcome.figures["GB/s"] = 3 * live.nbytes / taken / 1e9
    outcome.check("what is written", torch.equal(live, torch.lerp(base, aligned, RATIO)), "equal to one interpolation")


def _measure(outcome: Outcome, size: float, *, check: bool) -> None:
    count = max(1, int(size * 1e9 / 2 / BUFFER))
    live = [torch.empty(BUFFER, dtype=torch.bfloat16, device=device()) for _ in range(count)]
    ends = [[drawn((BUFFER,), torch.bfloat16).cpu() for _ in range(count)] for _ in range(2)]
    moved = 2 * BUFFER * count / 1e9
    lock = HostLock.on(tensor for end in ends for tensor in end)
    from_host = moved / seconds(copying(live, ends[0]))
    outcome.figures[f"{size:g} GB: copy to device GB/s"] = from_host
    if lock is None:
        outcome.left_out.append("locked memory, which CUDA refuses here")
    for place in ON_ACCELERATOR:
        locked = lock is not None and place in LOCKED
        name = f"{size:g} GB: {place}"
        _in_place(outcome, name, place, ends, live, locked=locked, from_host=from_host, check=check)
        torch.cuda.empty_cache()
    if lock is not None:
        lock.release()


def _in_place(
    outcome: Outcome,
    name: str,
    place: Place,
    ends: list[list[torch.Tensor]],
    live: list[torch.Tensor],
    *,
    locked: bool,
    from_host: float,
    check: bool,
) -> None:
    """Swaps in one place; compares with a copy on the GPU, or of what is streamed with `from_host`, in GB/s."""
    moved = sum(flat.nbytes for flat in live) / 1e9
    here = [
        [tensor.cuda() for tensor in end] if is_on_it else end
        for end, is_on_it in zip(ends, ON_ACCELERATOR[place], strict=True)
    ]
    pieces = [Piece(("all",), base, (aligned,), flat) for base, aligned, flat in zip(*here, live, strict=True)]
    taken = seconds(writing(pieces, RATIO, locked=locked))
    outcome.figures[f"{name}, ms"] = 1000 * taken
    streamed = ON_ACCELERATOR[place].count(False)
    if streamed:
        rate, bound, least = streamed * moved / taken, from_host, 0.9
    else:
        rate, bound, least = 3 * moved / taken, 2 * moved / seconds(copying(live, here[0])), 0.85
    if check and (locked or not streamed):
        outcome.at_least(f"{name}, of a copy", rate / bound, least)
    else:
        outcome.figures[f"{name}, of a copy"] = rate / bound


if __name__ == "__main__":
    main()
