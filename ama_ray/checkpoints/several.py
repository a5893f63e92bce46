"""What several aligned models must have in common: the first decides the form of a merge, and the others have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.checkpoints.compatibility import compare_headers, dtype_name
from ama_ray.checkpoints.vocabulary import Vocabulary
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.checkpoints.checkpoint import Checkpoint


def check_one_form(first: tuple[Checkpoint, Path], other: tuple[Checkpoint, Path]) -> None:
    """Refuses an aligned model that is in another form than the first.

    Args:
        first: The first aligned model, and the folder of its tokenizer.
        other: The same of another one.

    Raises:
        UserError: Its tokens, the names, the shapes or the precision of its tensors differ.
    """
    ours, theirs = (Vocabulary.read(folder) for _, folder in (first, other))
    if ours.ids != theirs.ids:
        token, _ = min(ours.ids.items() ^ theirs.ids.items(), key=lambda item: (item[1], item[0]))
        raise UserError(
            f"{first[0].folder} and {other[0].folder}: their tokenizers differ, first in the token {token!r} (id "
            f"{ours.ids.get(token)} and {theirs.ids.get(token)}); of several aligned models all need the tokens of the "
            "first."
        )
    for _ in compare_headers(first[0], other[0]):
        pass  # what it tells of base and aligned is not so of two aligned models
    for name, info in other[0].tensors.items():
        if (dtype := first[0].tensors[name].dtype) != info.dtype:
            raise UserError(
                f"{info.file}: {name} is in {dtype_name(info.dtype)}, and in {dtype_name(dtype)} in {first[0].folder}; "
                "save all aligned models in the precision of the first."
            )
