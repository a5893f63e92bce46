"""Python sources read as syntax trees, and what they import. Nothing is executed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One name that a module imports.

    Attributes:
        source: The module that the statement names.
        name: What it takes from that module; empty for `import source`.
        line: The line of the statement.
        type_only: Whether it stands under `if TYPE_CHECKING:`.
    """

    source: str
    name: str
    line: int
    type_only: bool

    @property
    def full(self) -> str:
        """The dotted name of what is imported."""
        return f"{self.source}.{self.name}" if self.name else self.source

    def is_from(self, *packages: str) -> bool:
        """Whether it is of one of these packages."""
        return any(self.full == package or self.full.startswith(f"{package}.") for package in packages)


@dataclass(frozen=True)
class Module:
    """A Python file.

    Attributes:
        file: Its path below the root, with slashes.
        text: Its source.
    """

    file: str
    text: str

    @property
    def name(self) -> str:
        """The dotted name under which it is imported."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def is_package(self) -> bool:
        """Whether it is an `__init__.py`."""
        return self.file.endswith("__init__.py")

    @property
    def room(self) -> str:
        """Its folder or file directly below the top-level package, as docs/architecture.md names it."""
        _, first, *rest = self.file.split("/")
        return f"{first}/" if rest else first

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.file)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """All that it imports, anywhere, `import_module("...")` included."""
        return tuple(_imports(self.tree, type_only=False))


def modules(root: Path, *tops: str) -> list[Module]:
    """Every Python file below some folders of a tree.

    Args:
        root: The root of the tree.
        tops: Names of folders at the root.
    """
    files = [file for top in tops for file in sorted((root / top).rglob("*.py"))]
    return [Module(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def _imports(node: ast.AST, *, type_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import():
                yield from (Import(alias.name, "", child.lineno, type_only) for alias in child.names)
            case ast.ImportFrom():
                source = "." * child.level + (child.module or "")
                yield from (Import(source, alias.name, child.lineno, type_only) for alias in child.names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for statement in child.body:
                    yield from _imports(ast.Module([statement], []), type_only=True)
                for statement in child.orelse:
                    yield from _imports(ast.Module([statement], []), type_only=type_only)
            case ast.Call(args=[ast.Constant(value=str(source)), *_]) if _called(child) == "import_module":
                yield Import(source, "", child.lineno, type_only)
            case _:
                yield from _imports(child, type_only=type_only)


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
