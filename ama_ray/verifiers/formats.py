"""`JsonVerifier` and `RegexVerifier`: replies of a form."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.processes.worker import CallError, Function, call
from ama_ray.verifiers.base import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.data.rows import Row

_MATCHES = Function(f"{__name__}:matches")
_FITS = Function(f"{__name__}:fits")
_SECONDS = 5.0
"""For one reply: a pattern may take for ever to find that it does not match."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


@dataclass(frozen=True)
class RegexVerifier(Verifier):
    """Replies, without white space around them, that a pattern matches as a whole.

    Attributes:
        pattern: Of all rows; None where each has its own.
    """

    pattern: str | None

    def read(self, row: Row) -> str:
        """The pattern of a row.

        Raises:
            UserError: It has none, or one that is no regular expression.
        """
        pattern = row.text("pattern") if self.pattern is None else self.pattern
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"{row.where}: the pattern {pattern!r} is no regular expression ({error}).") from None
        return pattern

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """See `Verifier`."""
        return [_called(_MATCHES, pattern, reply) for reply, pattern in zip(replies, rights, strict=True)]


@dataclass(frozen=True)
class JsonVerifier(Verifier):
    """Replies that are JSON, between fences or not, and fit the JSON schema in the field `schema` of a row, if any."""

    def read(self, row: Row) -> Any:
        """The schema of a row; an empty one, which all JSON fits, where it has none.

        Raises:
            UserError: It is no JSON schema.
        """
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for

        schema = row.fields.get("schema", {})
        try:
            validator_for(schema).check_schema(schema)
        except (SchemaError, TypeError, AttributeError) as error:
            raise UserError(
                f"{row.where}: the field 'schema' is no JSON schema ({str(error).splitlines()[0]})."
            ) from None
        return schema

    def scores(self, replies: Sequence[str], rights: Sequence[Any]) -> list[float]:
        """See `Verifier`."""
        return [_called(_FITS, schema, reply) for reply, schema in zip(replies, rights, strict=True)]


def matches(pattern: str, reply: str) -> list[float]:
    """1 where a pattern matches a whole reply, else 0; for a process of its own."""
    return [float(re.fullmatch(pattern, reply.strip(), re.DOTALL) is not None)]


def fits(schema: Any, reply: str) -> list[float]:
    """1 where a reply is JSON that fits a schema, else 0; for a process of its own."""
    from jsonschema.validators import validator_for

    fenced = _FENCED.fullmatch(reply.strip())
    try:
        value = json.loads(fenced[1] if fenced else reply)
    except (ValueError, RecursionError):
        return [0.0]
    return [float(validator_for(schema)(schema).is_valid(value))]


def _called(function: Function, *arguments: Any) -> float:
    try:
        return call(function, *arguments, timeout=_SECONDS)[0]
    except CallError:
        return 0.0
