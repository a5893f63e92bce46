"""`text_of`: what a function or an object does, as a text that is the same in every process."""

from __future__ import annotations

import inspect
import re
import sys
import sysconfig
from contextlib import suppress
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def text_of(value: Any) -> str:
    """The source of functions and classes of the user, with all that they use and hold; of the rest, its `repr`."""
    return _told(value, {})


def is_the_users(module: ModuleType | None) -> bool:
    """Whether a module is neither of Python, nor of an installed package, nor of this one."""
    if module is None or module.__name__ == "__main__":
        return True
    file, package = getattr(module, "__file__", None), module.__name__.partition(".")[0]
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return file is not None and package != __name__.partition(".")[0] and not file.startswith(tuple(installed))


def _told(value: Any, seen: dict[int, Any]) -> str:
    if not callable(value):
        return _told_data(value)
    if id(value) in seen:
        return ""
    seen[id(value)] = value  # kept, as another object could have its id
    if inspect.isfunction(value) or isinstance(value, type):
        return _told_code(value, seen)
    if inspect.ismethod(value):
        return _told(value.__func__, seen) + _told(value.__self__, seen)
    held = (f"{name}={_told(each, seen)}" for name, each in _held_by(value))
    return "\n".join([_told(type(value), seen), *held])


def _told_data(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return repr(sorted(map(repr, value)))  # their order is another one in every process
    return value.__name__ if inspect.ismodule(value) else _ADDRESS.sub("", repr(value))


def _told_code(value: Any, seen: dict[int, Any]) -> str:
    if not is_the_users(sys.modules.get(value.__module__)):
        return f"{value.__module__}.{value.__qualname__}"
    functions = [value] if inspect.isfunction(value) else list(filter(inspect.isfunction, vars(value).values()))
    used = [f"{name}={_told(each, seen)}" for each in functions for name, each in _used_by(each)]
    return "\n".join([_source(value), *used])


def _source(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):  # typed in, where nothing keeps its lines
        code = getattr(value, "__code__", None)
        return f"{value.__qualname__} {code.co_code.hex()} {_ADDRESS.sub('', repr(code.co_consts))}" if code else ""


def _held_by(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, partial):
        return [("func", value.func), ("args", value.args), ("keywords", value.keywords)]
    return sorted(getattr(value, "__dict__", {}).items())


def _used_by(function: Any) -> Iterator[tuple[str, Any]]:
    yield "its defaults", (function.__defaults__, function.__kwdefaults__)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        with suppress(ValueError):  # it has no value yet
            yield name, cell.cell_contents
    everywhere = function.__globals__
    yield from ((name, everywhere[name]) for name in sorted(_names(function.__code__) & everywhere.keys()))


def _names(code: CodeType) -> set[str]:
    """All names outside of it that code may use, that of the functions and comprehensions inside included."""
    inside = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*inside)
