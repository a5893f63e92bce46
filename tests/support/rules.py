"""The rules of docs/architecture.md as functions: each takes modules and returns its complaints, one a line."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tests.support.source import Import, Module

MOST_LINES = 300
_SHARED_BY_TESTS = ("tests.support",)
_ROOT_DEFINES = {"__version__", "__all__", "_HOMES", "__getattr__"}
"""The one exception of rule 6: the root loads its names on first use, so that `import ama_ray` is quick."""


def cycles(modules: Sequence[Module]) -> list[str]:
    """Rule 1: no import cycle; lazy and type-only imports count."""
    names = {module.name for module in modules}
    graph = {module.name: {_target(found, names) for found in module.imports} - {""} for module in modules}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def against_order(modules: Sequence[Module], order: Sequence[str]) -> list[str]:
    """Rule 2: a room imports only rooms below it.

    Args:
        modules: The modules of the package.
        order: The rooms from the top down.
    """
    height = {room: -place for place, room in enumerate(order)}
    room_of = {module.name: module.room for module in modules}
    complaints = [f"{room}: docs/architecture.md has no such room" for room in sorted({*room_of.values()} - {*height})]
    complaints += [f"{room}: there is no such room" for room in order if room not in room_of.values()]
    for module in modules:
        for found in module.imports:
            room = room_of.get(_target(found, room_of))
            if room and module.room in height and height.get(room, 0) > height[module.room]:
                complaints.append(f"{_at(module, found)} imports {found.full}, which is above it")
    return complaints


def imports_outside(modules: Iterable[Module], package: str, rooms: Collection[str]) -> list[str]:
    """Rule 3: only some rooms import a package."""
    return [
        f"{_at(module, found)} imports {found.full}"
        for module in modules
        if module.room not in rooms
        for found in module.imports
        if found.is_from(package)
    ]


def impure(modules: Iterable[Module], core: Collection[str], heavy: Collection[str]) -> list[str]:
    """Rule 4: the pure core imports nothing heavy when it runs."""
    return [
        f"{_at(module, found)} imports {found.full}"
        for module in modules
        if module.room in core
        for found in module.imports
        if found.is_from(*heavy) and not found.type_only
    ]


def foreign_privates(modules: Sequence[Module], meant: Collection[str]) -> list[str]:
    """Rule 5: private names of others only in the files meant for them.

    A private attribute of `self` is foreign where no module defines it; one of anything else, where its own module does
    not.

    Args:
        modules: The modules to look through.
        meant: The files that may use private names of others, and folders, which end in a slash.
    """
    known = {name for module in modules for name in _defined(module.tree)}
    used = {module.file: list(_privates(module, known)) for module in modules}
    complaints = [
        f"{file}:{line} uses {name}, which is private to another module"
        for file, names in used.items()
        if not _is_among(file, meant)
        for line, name in names
    ]
    idle = [place for place in meant if not any(names and _is_among(file, [place]) for file, names in used.items())]
    return complaints + [f"{place}: nothing there uses a private name of others" for place in idle]


def definitions_in_packages(modules: Iterable[Module]) -> list[str]:
    """Rule 6: an `__init__.py` re-exports and defines nothing."""
    return [
        f"{module.file}:{statement.lineno} defines something"
        for module in modules
        if module.is_package
        for statement in module.tree.body
        if not _re_exports(statement, {"__all__"} if "." in module.name else _ROOT_DEFINES)
    ]


def file_names(modules: Iterable[Module], names: Collection[str], room: str) -> list[str]:
    """Rule 7: the names of a run's files and folders stand only in one room.

    A name without a dot is a word as well; it counts where a path is joined with it.
    """
    complaints = []
    for module in modules:
        for node in ast.walk(module.tree) if module.room != room else ():
            match node:
                case ast.Constant(value=str(name)) if "." in name:
                    pass
                case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str(name))) if "." not in name:
                    pass
                case _:
                    continue
            if name in names:
                complaints.append(f"{module.file}:{node.lineno} writes the name {name!r} of a run's file")
    return complaints


def types_of_one_name(modules: Iterable[Module]) -> list[str]:
    """Rule 8: no public type has the name of another."""
    homes: dict[str, list[str]] = {}
    for module in modules:
        for name in _types(module.tree):
            homes.setdefault(name, []).append(module.file)
    return [f"{name}: {', '.join(files)}" for name, files in sorted(homes.items()) if len(files) > 1]


def long_modules(modules: Iterable[Module]) -> list[str]:
    """Rule 9: no module is longer than a reader's patience."""
    counted = [(module.file, len(module.text.splitlines())) for module in modules]
    return [f"{file}: {lines} lines" for file, lines in counted if lines > MOST_LINES]


def around_tests(modules: Iterable[Module]) -> list[str]:
    """Rule 10: tests share only `tests/support/`, nothing imports tests, and benchmarks import nothing private."""
    complaints = []
    for module in modules:
        top = module.file.split("/")[0]
        for found in module.imports:
            if found.is_from("tests") and (top != "tests" or not found.is_from(*_SHARED_BY_TESTS)):
                complaints.append(f"{_at(module, found)} imports {found.full}, which is of a test")
            if top == "tests" and found.is_from("benchmarks"):
                complaints.append(f"{_at(module, found)} imports {found.full}, which is of a benchmark")
            if top == "benchmarks" and any(map(_is_private, found.full.split("."))):
                complaints.append(f"{_at(module, found)} imports {found.full}, which is private")
    return complaints


def _target(found: Import, names: Collection[str]) -> str:
    """The module that an import reads; empty where it is none of these."""
    return next((name for name in (found.full, found.source) if name in names), "")


def _at(module: Module, found: Import) -> str:
    return f"{module.file}:{found.line}"


def _is_private(name: str) -> bool:
    return bool(re.match(r"_[a-zA-Z]", name))


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                yield name


def _privates(module: Module, known: Collection[str]) -> Iterator[tuple[int, str]]:
    """The private names of others that a module uses, with their lines."""
    own = set(_defined(module.tree))
    for found in module.imports:
        if any(map(_is_private, found.full.split("."))):
            yield found.line, found.full
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(attr=name, value=ast.Name(id="self" | "cls")):
                is_own = name in known
            case ast.Attribute(value=ast.Name(id="os")):  # `os._exit` is documented
                continue
            case ast.Attribute(attr=name):
                is_own = name in own
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                is_own = name in own
            case _:
                continue
        if _is_private(name) and not is_own:
            yield node.lineno, name


def _is_among(file: str, places: Iterable[str]) -> bool:
    return any(file == place or (place.endswith("/") and file.startswith(place)) for place in places)


def _re_exports(statement: ast.stmt, may_define: Collection[str]) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
            return all(_re_exports(inner, may_define) for inner in body)
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.FunctionDef(name=name):
            return name in may_define
    return False


def _types(tree: ast.Module) -> Iterator[str]:
    """The public types of a module: its classes, and its names for types."""
    for statement in tree.body:
        match statement:
            case ast.ClassDef(name=name):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case _:
                continue
        if re.match(r"[A-Z][A-Za-z0-9]*[a-z]", name) and "_" not in name:
            yield name
