"""`JobFiles`: what a search that is submitted as a job takes along, and what must be there on the cluster already."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.config import RunConfig
from ama_ray.config.yaml_file import YamlFile
from ama_ray.errors import UserError
from ama_ray.storage.run_folder import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIMIT = 100 * 2**20
"""Bytes that Ray's job server takes as one request."""
MOST_TO_COMPRESS = 10 * LIMIT
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf")
LEFT_BEHIND = ("runs", "__pycache__")


@dataclass(frozen=True)
class JobFiles:
    """A run file that has been checked, and the working directory that is sent with it.

    Files of the working directory go along but for hidden ones, Python environments, `runs`, `out` and weights; what
    the run file names by a relative path always does.

    Attributes:
        folder: The working directory.
        run: The run file, relative to it.
        out: The folder of the run, on the cluster.
        named: What the run file names, relative to the working directory: files, and folders with all that is in them.
    """

    folder: Path
    run: Path
    out: str
    named: tuple[Path, ...]

    @classmethod
    def of(cls, run: Path, working_dir: Path | None, *, out: str | None, trials: int | None) -> JobFiles:
        """Checks a run file as far as that goes without the cluster.

        Args:
            run: The run file.
            working_dir: The working directory, None for the run file's folder.
            out: Instead of the run file's.
            trials: Instead of the run file's.

        Raises:
            UserError: A field is wrong, or names what would not be there on the cluster, or be lost with the job.
        """
        given = {"out": out, "trials": trials}
        config = RunConfig.load(run, **{name: value for name, value in given.items() if value is not None})
        fields = YamlFile.read(run).value
        own = run.resolve().parent
        folder = working_dir.resolve() if working_dir else own
        if not own.is_relative_to(folder):
            raise UserError(f"--working-dir {working_dir}: {run} does not lie in there; give a folder that holds it.")
        out = out or str(fields["out"])
        if not Path(out).expanduser().is_absolute():
            raise UserError(
                f"out: {out} would be lost with the job's own folder on the cluster; give an absolute path, here or as "
                "--out, on a file system that outlives the cluster."
            )
        named = tuple(_named(run, config, fields, folder))
        return cls(folder, run.resolve().relative_to(folder), out, named)

    def pack(self, archive: Path) -> None:
        """Writes the files that go along into a zip.

        Raises:
            UserError: They are more than Ray takes.
        """
        files = sorted(self.files())
        sizes = {path: (self.folder / path).stat().st_size for path in files}
        if sum(sizes.values()) <= MOST_TO_COMPRESS:
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
                for path in files:
                    packed.write(self.folder / path, path)
            if archive.stat().st_size < LIMIT:
                return
        largest = ", ".join(
            f"{path} with {sizes[path] / 2**20:.0f} MiB" for path in sorted(files, key=sizes.__getitem__)[:-3:-1]
        )
        raise UserError(
            f"{self.folder}: its files, such as {largest}, are more than the {LIMIT >> 20} MiB that Ray's job server "
            "takes; put checkpoints where the cluster has them and give their absolute paths, or give --working-dir a "
            "folder with less in it."
        )

    def files(self) -> set[Path]:
        """The files that go along, relative to the working directory."""
        return {self.run, *self._usual(), *self._asked_for()}

    def _usual(self) -> Iterator[Path]:
        out = Path(self.out).expanduser()
        for where, folders, files in os.walk(self.folder):
            here = Path(where)
            folders[:] = [
                name
                for name in _visible(folders)
                if name not in LEFT_BEHIND and here / name != out and not (here / name / "pyvenv.cfg").exists()
            ]
            for name in _visible(files):
                if (here / name).is_file() and not name.endswith(WEIGHTS):
                    yield (here / name).relative_to(self.folder)

    def _asked_for(self) -> Iterator[Path]:
        for path in self.named:
            if (self.folder / path).is_file():
                yield path
            for where, folders, files in os.walk(self.folder / path):
                folders[:] = _visible(folders)
                yield from ((Path(where) / name).relative_to(self.folder) for name in _visible(files))


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _named(run: Path, config: RunConfig, fields: object, folder: Path) -> Iterator[Path]:
    """What a run file names by relative paths, which `RunConfig` has made absolute."""
    own, written = run.resolve().parent, {str(Path(text)) for _, text in flat(fields) if isinstance(text, str)}
    for field, text in flat(config.model_dump(mode="json", exclude={"out"})):
        if not isinstance(text, str) or not text.startswith(f"{own}/") or text in written:
            continue
        path = Path(os.path.normpath(text.rpartition(":")[0] if ".py:" in text else text))
        if not path.is_relative_to(folder):
            raise UserError(
                f"{run}: {field}: {os.path.relpath(path, own)} lies outside of the working directory {folder} and "
                "would not be there on the cluster; give --working-dir a folder that holds both, or an absolute path "
                "that is there on the cluster."
            )
        if not path.exists():
            raise UserError(f"{run}: {field}: there is no {os.path.relpath(path, own)}; check the path.")
        yield path.relative_to(folder)
