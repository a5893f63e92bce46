"""Files of JSON, and checked access to the fields of what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.data.rows import Row, parse_jsonl, read_text
from ama_ray.errors import UserError
from ama_ray.reading import parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def records(file: Path) -> list[Row]:
    """Reads JSON lines, a JSON list of objects, or one JSON object.

    Raises:
        UserError: The file is missing, empty, not UTF-8 or none of the three.
    """
    return parse_records(read_text(file), file)


def parse_records(text: str, file: Path) -> list[Row]:
    """The records of a text, of which the file is named in errors.

    Raises:
        UserError: It is none of the three.
    """
    try:
        content = parse_json(text)
    except ValueError:
        return parse_jsonl(text, file)
    if isinstance(content, list) and content:
        return [as_row(fields, f"{file}, item {number}") for number, fields in enumerate(content, start=1)]
    return [as_row(content, f"{file}, item 1")]


def as_row(fields: Any, where: str) -> Row:
    """A JSON object as a row.

    Raises:
        UserError: It is none.
    """
    if not isinstance(fields, dict):
        raise UserError(f"{where}: expected an object with fields, not {type(fields).__name__}.")
    return Row(fields, where)


def inner(row: Row, field: str) -> Row:
    """The object in a field.

    Raises:
        UserError: The field is missing or is no object.
    """
    return as_row(row.get(field), f"{row.where}, field {field!r}")


def objects(row: Row, field: str) -> list[Row]:
    """The list of objects in a field.

    Raises:
        UserError: The field is missing or is not such a list.
    """
    values = row.get(field)
    if not isinstance(values, list):
        raise UserError(f"{row.where}: the field {field!r} must be a list, not {type(values).__name__}.")
    return [
        as_row(value, f"{row.where}, field {field!r}, item {number}") for number, value in enumerate(values, start=1)
    ]


def texts(row: Row, field: str, least: int = 2) -> list[str]:
    """The list of texts in a field.

    Raises:
        UserError: The field is missing, is not a list of texts, or has fewer than `least`.
    """
    values = row.get(field)
    if not isinstance(values, list) or len(values) < least or not all(isinstance(value, str) for value in values):
        raise UserError(f"{row.where}: the field {field!r} must be a list of {least} or more texts.")
    return values


def index(row: Row, field: str, count: int) -> int:
    """The index in a field, which may be written as a number or as text.

    Raises:
        UserError: The field is missing or is not from 0 to `count` - 1.
    """
    value = row.get(field)
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < count:
        raise UserError(f"{row.where}: the field {field!r} must be an index from 0 to {count - 1}, not {value!r}.")
    return number


def place(row: Row, field: str, labels: Sequence[str]) -> int:
    """Where the label in a field stands among all labels.

    Raises:
        UserError: The field is missing or is none of the labels.
    """
    value = row.text(field).strip()
    if value not in labels:
        raise UserError(f"{row.where}: the field {field!r} must be one of {', '.join(labels)}, not {value!r}.")
    return list(labels).index(value)
