"""Step 1, with PyTorch alone: locking host memory, the arithmetic, and a swap of the 8B shape in every place.

python -m benchmarks.gpu.torch_alone
"""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import torch

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.engine.placement import LOCKED, ON_ACCELERATOR
from ama_ray.engine.worker import host_lock
from ama_ray.engine.worker.host_lock import FLAGS, HostLock
from ama_ray.engine.worker.interpolation import Piece
from benchmarks.gpu.measure import copying, device, device_name, drawn, seconds, writing
from benchmarks.gpu.outcome import Outcome
from benchmarks.gpu.shapes import LLAMA_8B, SMALL, fused_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.engine.placement import Place

RATIOS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
FAST_BUS = ("H100", "H200", "B200", "B300")
"""GPUs on a bus that copies 50 GB/s or more from locked memory."""
SHARED = Path("/dev/shm")
LOCK_BYTES = 2**30
RATIO = 0.3
MOST_OF_MEMORY = 0.8


def main() -> None:
    """Does all of it that this machine can."""
    outcome = Outcome("torch_alone", device_name())
    outcome.figures["torch"] = torch.__version__
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        _lock(outcome)
        _arithmetic(outcome)
    else:
        outcome.left_out += ["locking and copying host memory", "arithmetic against a CPU", "the 8B shape"]
    _swaps(outcome, _shape(outcome) if on_gpu else SMALL)
    outcome.finish()


def _shape(outcome: Outcome) -> dict[str, int]:
    """The 8B shape, with fewer layers where three copies of it would not fit."""
    _, memory = torch.cuda.mem_get_info()
    layers = LLAMA_8B["num_hidden_layers"]
    while layers > 1 and 3 * _bytes(LLAMA_8B | {"num_hidden_layers": layers}) > MOST_OF_MEMORY * memory:
        layers -= 1
    if layers < LLAMA_8B["num_hidden_layers"]:
        outcome.left_out.append(f"all but {layers} layers of the 8B shape")
    return LLAMA_8B | {"num_hidden_layers": layers}


def _bytes(shape: dict[str, int]) -> int:
    return sum(2 * math.prod(size) for size in fused_parameters(shape).values())


def _lock(outcome: Outcome) -> None:
    """Registers a mapping of shared memory, such as Ray's object store is, and copies from it."""
    host = _shared(LOCK_BYTES)
    runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    codes = {}
    for flag in reversed(FLAGS):
        codes[flag] = int(runtime.cudaHostRegister(host.data_ptr(), host.nbytes, flag))
        if codes[flag]:
            host_lock._forget_error()
        else:
            runtime.cudaHostUnregister(host.data_ptr())
    outcome.figures["cudaHostRegister codes by flag"] = codes
    outcome.check("flag 0 locks", codes[0] == 0, f"{codes[0]}, 0 wanted")
    outcome.check("flag 8 locks or is not known", codes[8] in (0, 801), f"{codes[8]}, 0 or 801 wanted")
    try:
        outcome.check("a kernel runs after a refusal", int(torch.ones(3, device="cuda").sum()) == 3, "it runs")
    except RuntimeError as error:
        outcome.check("a kernel runs after a refusal", False, str(error).splitlines()[0])
    into = torch.empty_like(host, device="cuda")
    outcome.figures["pageable GB/s"] = host.nbytes / seconds(copying([into], [host])) / 1e9
    lock = HostLock.on([host])
    outcome.check("host memory is locked", lock is not None, "it is" if lock else "CUDA refuses")
    if lock is not None:
        rate = host.nbytes / seconds(copying([into], [host])) / 1e9
        if any(name in outcome.device for name in FAST_BUS):
            outcome.at_least("locked GB/s", rate, 50)
        else:
            outcome.figures["locked GB/s"] = rate
        lock.release()
        again = HostLock.on([host])
        outcome.check("it is locked again after its release", again is not None, "it is" if again else "CUDA refuses")
        if again is not None:
            again.release()


def _arithmetic(outcome: Outcome) -> None:
    """Interpolates on the GPU and on the CPU."""
    differing = 0
    for dtype in DTYPES:
        base, aligned = (torch.randn(2**22, generator=torch.Generator().manual_seed(n)).to(dtype) for n in range(2))
        for ratio in RATIOS:
            there = interpolate(base.cuda(), aligned.cuda(), ratio).cpu()
            differing += int((there.view(torch.uint8) != interpolate(base, aligned, ratio).view(torch.uint8)).sum())
    name = f"differing bytes of {len(DTYPES)} dtypes times {len(RATIOS)} ratios"
    outcome.at_most(name, differing, 0)


def _swaps(outcome: Outcome, shape: dict[str, int]) -> None:
    """Swaps in every place; what is written must be what a CPU writes."""
    sizes = fused_parameters(shape)
    live = [torch.empty(size, dtype=torch.bfloat16, device=device()).view(-1) for size in sizes.values()]
    ends = [[drawn((len(flat),), torch.bfloat16).cpu() for flat in live] for _ in range(2)]
    gigabytes = sum(flat.nbytes for flat in live) / 1e9
    outcome.figures |= {"parameters": len(live), "endpoint GB": gigabytes}
    expected = [interpolate(base, aligned, RATIO) for base, aligned in zip(*ends, strict=True)]
    places: list[Place] = list(ON_ACCELERATOR) if live[0].is_cuda else ["object_store"]
    for place in places:
        _swap_in(outcome, place, ends, live, expected)
    _verification(outcome, sizes, ends, live)


def _swap_in(
    outcome: Outcome,
    place: Place,
    ends: list[list[torch.Tensor]],
    live: list[torch.Tensor],
    expected: list[torch.Tensor],
) -> None:
    pieces = _pieces(place, ends, live)
    lock = HostLock.on(end for end in _ends(pieces) if end.is_cpu) if place in LOCKED else None
    for flat in live:
        flat.zero_()
    taken = seconds(writing(pieces, RATIO, locked=lock is not None))
    outcome.figures[f"{place}: swap ms"] = 1000 * taken
    wrong = sum(not torch.equal(flat, right.to(flat.device)) for flat, right in zip(live, expected, strict=True))
    outcome.at_most(f"{place}: parameters that differ from a CPU's", wrong, 0)
    if place == "accelerator":
        moved = sum(flat.nbytes for flat in live) / 1e9
        copy = 2 * moved / seconds(copying(live, [piece.base for piece in pieces]))
        outcome.figures["device copy GB/s"] = copy
        outcome.at_least("write, of a device copy", 3 * moved / taken / copy, 0.85)
    if lock is not None:
        lock.release()


def _pieces(place: Place, ends: list[list[torch.Tensor]], live: list[torch.Tensor]) -> list[Piece]:
    of_base, of_aligned = ON_ACCELERATOR[place]
    there = live[0].device
    return [
        Piece(("all",), base.to(there) if of_base else base, (aligned.to(there) if of_aligned else aligned,), flat)
        for base, aligned, flat in zip(*ends, live, strict=True)
    ]


def _ends(pieces: list[Piece]) -> Iterator[torch.Tensor]:
    for piece in pieces:
        yield from piece.ends


def _verification(
    outcome: Outcome, sizes: dict[str, tuple[int, ...]], ends: list[list[torch.Tensor]], live: list[torch.Tensor]
) -> None:
    """Times what every swap ends with; what was swapped passes it, and one element that is off does not."""
    from ama_ray.engine.endpoints import Endpoints, Span, StoredTensor
    from ama_ray.engine.worker.swap_extension import SwapError, SwapExtension

    model = torch.nn.ParameterDict(
        {name: torch.nn.Parameter(flat, requires_grad=False) for name, flat in zip(sizes, live, strict=True)}
    )
    extension = SwapExtension()
    extension.device = live[0].device
    extension.model_runner = SimpleNamespace(get_model=lambda: model)
    base, aligned = (
        {name: StoredTensor.of(end, torch.bfloat16) for name, end in zip(sizes, side, strict=True)} for side in ends
    )
    spans: dict[str, tuple[Span, ...]] = {
        name: (Span(0, len(flat), name.rpartition("-")[0] or name),) for name, flat in zip(sizes, live, strict=True)
    }
    for flat, end in zip(live, ends[1], strict=True):
        flat.copy_(end)  # an engine starts on aligned
    extension.attach(Endpoints(base, (aligned,), (spans,)), "object_store")
    ratios = dict.fromkeys({span.number for parts in spans.values() for span in parts}, RATIO)
    extension.swap(ratios)
    outcome.figures["verification ms"] = 1000 * seconds(lambda: extension.verify(ratios))
    live[0][0] += 1
    try:
        extension.verify(ratios)
        seen = False
    except SwapError:
        seen = True
    outcome.check("an element that is off is seen", seen, "it is" if seen else "it is not")


def _shared(size: int) -> torch.Tensor:
    """Memory in a file of /dev/shm, as the object store's; or of this process alone where that is too small."""
    free = os.statvfs(SHARED).f_bavail * os.statvfs(SHARED).f_frsize if SHARED.is_dir() else 0
    if free < size:
        return torch.ones(size, dtype=torch.uint8)
    path = SHARED / f"ama_ray-acceptance-{os.getpid()}"
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    path.unlink()
    os.ftruncate(file, size)
    mapped = mmap.mmap(file, size)  # shared and writable, as Ray maps its own
    os.close(file)
    return torch.frombuffer(mapped, dtype=torch.uint8).fill_(1)


if __name__ == "__main__":
    main()
