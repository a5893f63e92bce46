"""A YAML file of the user: what it holds, on which lines, and which keys stand in it twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from ama_ray.errors import UserError
from ama_ray.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Location = tuple[Any, ...]
"""The names and positions that lead to a value of a file."""


@dataclass(frozen=True)
class YamlFile:
    """What a file holds.

    Attributes:
        value: As Python has it.
        lines: Of every value, its line from 1.
        twice: Where a key stands again in its mapping, of which YAML takes the last one.
    """

    value: Any
    lines: dict[Location, int] = field(default_factory=dict)
    twice: list[tuple[Location, int]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> YamlFile:
        """Reads a file.

        Raises:
            OSError: It cannot be read.
            UserError: It is no YAML.
        """
        try:
            loader = yaml.SafeLoader(read_text(path, "utf-8-sig"))
            node = loader.get_single_node()
            read = cls(None if node is None else loader.construct_document(node))
        except yaml.MarkedYAMLError as error:
            where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
            what = error.problem or error.context
            raise UserError(f"{path}: not a readable YAML file ({where}{what}).") from None
        except RecursionError:
            raise UserError(f"{path}: not a readable YAML file (too many levels in each other).") from None
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{path}: not a readable YAML file ({' '.join(str(error).split())}).") from None
        if node is not None:
            for place, line in _keys(node, (), set()):
                if place in read.lines:
                    read.twice.append((place, line))
                read.lines.setdefault(place, line)
        return read

    def line_of(self, place: Location) -> int:
        """The line of a value, or of the nearest thing around it; 0 where there is none."""
        around = (self.lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self.lines)
        return next(around, 0)


def _keys(node: Any, place: Location, seen: set[int]) -> Iterator[tuple[Location, int]]:
    """Yields every key and every entry of a list with its line; those of an alias once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            yield (*place, number), each.start_mark.line + 1
            yield from _keys(each, (*place, number), seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                yield (*place, key.value), key.start_mark.line + 1
                yield from _keys(value, (*place, key.value), seen)
