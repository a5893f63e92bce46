"""What is asked of the environment: variables that libraries read, and keys, which are held nowhere else."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_RAY_TOKEN = "RAY_AUTH_TOKEN"
_NAME_OF_KEY = re.compile(r"PASSWORD|PASSWD|(^|_)(KEY|TOKEN|SECRET|CREDENTIALS)(_|$)", re.IGNORECASE)
_SHORTEST = 6
"""Characters below which the value of a variable that only sounds like a key's is none, such as `false`."""
HIDDEN = "***"
"""What stands in the place of a secret."""


@contextmanager
def no_input() -> Iterator[None]:
    """Closes the standard input for a while: no library asks anything on the terminal, and none reads an answer."""
    before = sys.stdin
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """An environment variable of this process, which afterwards is what it was."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def key_of(variable: str | None, field: str) -> str | None:
    """The key that an environment variable holds; None where no variable is named.

    Args:
        variable: The name of the variable.
        field: What names the variable, for the sentence: a field of the run file, or an option.

    Raises:
        UserError: The variable is not set, or empty.
    """
    if variable is None:
        return None
    if not (key := os.environ.get(variable)):
        raise UserError(f"{field}: the environment variable {variable} is not set; set it.")
    return key


def key_values() -> set[str]:
    """The values of variables that sound as if they held a key or a password."""
    return {value for name, value in os.environ.items() if _NAME_OF_KEY.search(name) and len(value) >= _SHORTEST}


def hidden(text: str, *secrets: str | None) -> str:
    """A text without `key_values`, and without these secrets."""
    for secret in sorted({*key_values(), *filter(None, secrets)}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def ray_token() -> str:
    """The token of Ray's clusters from where Ray looks for it; empty where there is none."""
    place = ray_token_place()
    if place == _RAY_TOKEN:
        return os.environ[_RAY_TOKEN]
    path = Path(place).expanduser()
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def ray_token_place() -> str:
    """Where Ray looks for the token of its clusters: the variable that holds it, or the path of a file."""
    if _RAY_TOKEN in os.environ:
        return _RAY_TOKEN
    return os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
