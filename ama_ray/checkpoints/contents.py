"""`Contents`: what a look at every value of several checkpoints tells, and what of it makes no sense to average."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import torch

from ama_ray.checkpoints.compatibility import dtype_name
from ama_ray.checkpoints.values import digest_of, distance, tensor_digest
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.config.delta import Delta

Streamed: TypeAlias = tuple[str, torch.Tensor, tuple[torch.Tensor, ...]]
"""A name, the tensor of base, and those of the aligned models."""


def streamed(endpoints: Sequence[Checkpoint], names: Iterable[str]) -> Iterator[Streamed]:
    """Tensors of all endpoints by name, read when their turn comes, in the precision of the first aligned model.

    Args:
        endpoints: Base, then the aligned models.
        names: Of tensors that each of them has.
    """
    names = list(names)
    for found in zip(*(endpoint.stream(names) for endpoint in endpoints), strict=True):
        dtype = found[1][1].dtype
        base, *aligned = (tensor.to(dtype) for _, tensor in found)
        yield found[0][0], base, tuple(aligned)


@dataclass(frozen=True)
class Contents:
    """What the values of endpoints are like.

    Attributes:
        moves: Of every aligned model, how far each averaged tensor is from base: the Euclidean norm of the difference.
        checksum: A SHA-256 of all stored values in their order, the same on every machine.
        checksums: The same of each endpoint, by the names of tensors and whatever files they are in; of an adapter, of
            its files.
    """

    moves: tuple[Mapping[str, float], ...]
    checksum: str
    checksums: tuple[str, ...]

    @classmethod
    def of(cls, endpoints: Sequence[Checkpoint], beside: Collection[str]) -> Contents:
        """Looks at every value.

        Args:
            endpoints: Base, then the aligned models, in one form.
            beside: The tensors that are not searched.

        Raises:
            UserError: A value is NaN or infinite, tensors of integers differ, or two endpoints are equal.
        """
        aligned = endpoints[1:]
        moves: list[dict[str, float]] = [{} for _ in aligned]
        equal = set(combinations(range(len(endpoints)), 2))
        # What an adapter adds may differ in a last bit from machine to machine.
        digests = [end.adapter.checksum for end in aligned if end.adapter]
        stored = [number for number, end in enumerate(endpoints) if not (number and end.adapter)]
        each: dict[int, dict[str, str]] = {number: {} for number in stored}
        with ThreadPoolExecutor(2) as pool:
            for name, base, others in streamed(endpoints, aligned[0].tensors):
                tensors, first = (base, *others), others[0]
                hashed = [pool.submit(tensor_digest, tensors[number]) for number in stored]
                if first.is_floating_point():
                    if name not in beside:
                        equal = {(one, two) for one, two in equal if torch.equal(tensors[one], tensors[two])}
                    for of_model, tensor in zip(moves, others, strict=True):
                        of_model[name] = distance(base, tensor)
                    # A look at each of them takes as long again. Towers may hold bounds that are infinite.
                    if name not in beside and not all(math.isfinite(of_model[name]) for of_model in moves):
                        _check_finite(name, endpoints, tensors)
                elif not all(torch.equal(base, tensor) for tensor in others):
                    raise UserError(
                        f"{name}: the {'two ' if len(endpoints) == 2 else ''}checkpoints hold different "
                        f"{dtype_name(first.dtype)} values, which cannot be averaged; make them equal."
                    )
                for number, digest in zip(stored, hashed, strict=True):
                    each[number][name] = digest.result()
                    digests.append(f"{name} {each[number][name]}")
        if equal:
            raise _equal(*(endpoints[number] for number in min(equal)), is_base=not min(equal)[0])
        own = {number: digest_of(sorted(values.items())) for number, values in each.items()}
        adapters = {number: end.adapter.checksum for number, end in enumerate(endpoints) if end.adapter}
        checksums = tuple((own | adapters)[number] for number in range(len(endpoints)))
        return cls(tuple(moves), digest_of(digests), checksums)

    def operated(self, delta: Delta | None, endpoints: Sequence[Checkpoint], beside: Collection[str]) -> Contents:
        """The same once an operator has changed the differences: the checksums of endpoints stay those of its sources.

        Args:
            delta: The operator, if any.
            endpoints: Base, then the aligned models that it has made.
            beside: The tensors that are not searched.

        Raises:
            UserError: A value that was made is too large for its precision, or nothing is left of a difference.
        """
        if delta is None:
            return self
        moves: tuple[dict[str, float], ...] = tuple({} for _ in endpoints[1:])
        for name, base, aligned in streamed(endpoints, endpoints[1].tensors):
            for of_model, tensor, end in zip(moves, aligned, endpoints[1:], strict=True):
                if not base.is_floating_point():
                    continue
                of_model[name] = distance(base, tensor)
                if name not in beside and not math.isfinite(of_model[name]):
                    raise UserError(
                        f"delta: {delta} makes a value of {name} of {end.folder} too large for "
                        f"{dtype_name(tensor.dtype)}; keep more."
                    )
        for of_model, end in zip(moves, endpoints[1:], strict=True):
            if not any(far for name, far in of_model.items() if name not in beside):
                raise UserError(
                    f"delta: {delta} leaves nothing of the difference between {endpoints[0].folder} and {end.folder}; "
                    "keep more."
                )
        return Contents(moves, digest_of((self.checksum, delta.model_dump())), self.checksums)


def _equal(one: Checkpoint, other: Checkpoint, *, is_base: bool) -> UserError:
    if is_base:
        return UserError(
            f"{one.folder} and {other.folder}: all tensors that are searched are equal, so there is nothing to search; "
            "check that base is from before and aligned from after RLHF."
        )
    return UserError(
        f"{one.folder} and {other.folder}: all tensors that are searched are equal in these two aligned models; name "
        "one of them alone."
    )


def _check_finite(name: str, endpoints: Sequence[Checkpoint], tensors: Sequence[torch.Tensor]) -> None:
    for checkpoint, tensor in zip(endpoints, tensors, strict=True):
        # The extremes are NaN if any value is, and they cost no temporary.
        if tensor.numel() and not all(extreme.isfinite() for extreme in tensor.aminmax()):
            raise UserError(
                f"{checkpoint.source(name)}: {name} holds NaN or infinity in {dtype_name(tensor.dtype)}; "
                "use a sound checkpoint."
            )
