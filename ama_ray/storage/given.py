"""`Given`: what Python hands to `search()` where a run file names a file: rows, functions, objects that are called.

Each becomes a file in the run's folder, which the run file then names, so that such a run is gone on with, copied and
looked at as any other. A file is called by a hash of what it holds: other rows, or another source, are another name,
which a run that is gone on with refuses. A sampler and callbacks are kept as the names of their classes, as the others
of a run file are.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ama_ray.config.fields import listed
from ama_ray.errors import UserError, one_line
from ama_ray.storage.files import replacing
from ama_ray.storage.names import GIVEN
from ama_ray.storage.source_text import is_the_users, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_OF_ROWS = ("prompts", "file", "report_file")
_SHOWN = 12
"""Digits of a hash in a name."""


@dataclass(frozen=True)
class Given:
    """Fields of a run file without anything that only Python has.

    Attributes:
        fields: As a run file could say them.
        files: By path, what has to be there.
        sampler: The sampler, where it was given as an object.
        callbacks: The callbacks as they were given, in the order of the field; empty where none were.
    """

    fields: dict[str, Any]
    files: dict[Path, bytes] = field(default_factory=dict)
    sampler: Any = None
    callbacks: tuple[Any, ...] = ()

    @classmethod
    def of(cls, fields: Mapping[str, Any], out: Path) -> Given:
        """Names what is in memory; nothing is written yet.

        Args:
            fields: Of a run file. Within `reward` and `tax`, rows may stand for `prompts`, `file` and `report_file`: a
                list of mappings or a `datasets.Dataset`; and anything that can be called for `scorer`. `sampler` and
                each of `callbacks` may be an object, or a class.
            out: The folder of the run.

        Raises:
            UserError: A row is nothing that JSON can hold, or a function cannot be pickled.
        """
        sampler = fields.get("sampler")
        is_object = hasattr(sampler, "sample_relative") and not isinstance(sampler, type)
        callbacks = tuple(listed(fields.get("callbacks", ())))
        given = cls(dict(fields), {}, sampler if is_object else None, callbacks)
        for name in fields.keys() & {"reward", "tax"}:
            given.fields[name] = given._named(fields[name], (name,), out / GIVEN)
        if hasattr(sampler, "sample_relative"):
            given.fields["sampler"] = _class_name(sampler)
        if callbacks:
            given.fields["callbacks"] = [_class_name(x) if hasattr(x, "on_trial_result") else x for x in callbacks]
        return given

    def write(self) -> None:
        """Writes the files that are not there yet; those that are have the same content by their name."""
        for path, content in self.files.items():
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path, "wb") as file:
                    file.write(content)

    def _named(self, value: Any, place: tuple[str, ...], folder: Path) -> Any:
        if place[-1] == "scorer" and callable(value):
            return self._callable(value, place, folder)
        if place[-1] in _OF_ROWS and _are_rows(value):
            path = self._rows(value, place, folder)
            return {"file": path} if place[-1] == "prompts" else path
        if isinstance(value, Mapping):
            return {key: self._named(each, (*place, str(key)), folder) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._named(each, (*place, str(number)), folder) for number, each in enumerate(value)]
        return value

    def _rows(self, rows: Any, place: tuple[str, ...], folder: Path) -> Path:
        name = ".".join(place)
        content = "".join(f"{line}\n" for line in _lines(rows, name)).encode()
        # A dataset's name says whether it is a benchmark's test split, as that of a file does.
        split = re.sub(r"\W+", "-", str(getattr(rows, "split", None) or ""))
        path = folder / "-".join(filter(None, [name, split, f"{_digest(content)}.jsonl"]))
        self.files[path] = content
        return path

    def _callable(self, value: Callable[..., Any], place: tuple[str, ...], folder: Path) -> str:
        import cloudpickle

        name = getattr(value, "__name__", type(value).__name__).strip("<>")
        module = sys.modules.get(getattr(value, "__module__", None) or type(value).__module__)
        # Of a module that is not installed, no other node has the file.
        by_value = module if module and module.__name__ != "__main__" and is_the_users(module) else None
        try:
            if by_value:
                cloudpickle.register_pickle_by_value(by_value)
            content = cloudpickle.dumps(value)
        except Exception as error:  # whatever an object raises that does not want to be pickled
            raise UserError(
                f"{'.'.join(place)}: {name} cannot be sent to another process ({one_line(error)}); what it holds has "
                "to be picklable: open files, connections and models where it is called, or in the constructor of a "
                "class that is given as such."
            ) from None
        finally:
            if by_value:
                cloudpickle.unregister_pickle_by_value(by_value)
        path = folder / f"{name}-{_digest(text_of(value).encode())}.pickle"
        self.files[path] = content
        return f"{path}:{name}"


def _class_name(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__name__}"


def _are_rows(value: Any) -> bool:
    return isinstance(value, list | tuple) or (hasattr(value, "column_names") and hasattr(value, "__iter__"))


def _lines(rows: Any, name: str) -> Iterator[str]:
    for number, row in enumerate(rows, start=1):
        fields = {"prompt": row} if isinstance(row, str) else row
        if not isinstance(fields, Mapping):
            raise UserError(
                f"{name}: row {number} is {type(row).__name__}; give rows as mappings, or prompts as texts."
            )
        try:
            yield json.dumps(dict(fields), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{name}: row {number} is nothing that JSON can hold ({one_line(error)}); give texts, finite numbers, "
                "lists and mappings of them."
            ) from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_SHOWN]
