"""Making a merge again from its `merge.json`."""

from __future__ import annotations

from pathlib import Path

from ama_ray.errors import UserError
from ama_ray.export.merge_file import MergeFile
from ama_ray.export.write import write


def reproduce(file: Path, out: Path, base: str | None = None, aligned: str | None = None) -> Path:
    """Makes the merge of a `merge.json` again, bit for bit.

    Args:
        file: The `merge.json`.
        out: A folder that does not exist yet or is empty.
        base: Folder or hub id of base, where it is not where it was.
        aligned: The same of aligned.

    Returns:
        The folder.

    Raises:
        UserError: The file or a checkpoint cannot be read, a checkpoint is not the one that was merged, or the weights
            come out otherwise.
    """
    from ama_ray.checkpoints.pair import Pair

    merge = MergeFile.load(file)
    parents = {"base": merge.base, "aligned": merge.aligned}
    sources = {"base": base or merge.base.source, "aligned": aligned or merge.aligned.source}
    for name, source in sources.items():
        if Path(source).is_absolute() and not Path(source).is_dir():
            raise UserError(f"{source}: {name} is not here; name its folder or hub id with --{name}.")
    pair = Pair.open(sources["base"], sources["aligned"], merge.dtype)
    for (name, parent), checksum in zip(parents.items(), pair.checksums, strict=True):
        if parent.checksum != checksum:
            raise UserError(
                f"{sources[name]}: not the {name} that {file} was made of, as the checksums of their values differ; "
                f"name the right one with --{name}."
            )
    moved = {name: parent.model_copy(update={"source": sources[name]}) for name, parent in parents.items()}
    write(pair, merge.model_copy(update=moved), out)
    return out
