"""The one error a user is meant to read, and other errors made readable."""

import re

_ADDRESS = "For further information visit"
"""How pydantic ends each of its messages."""
_INPUT = re.compile(r" \[type=\w+, input_value=.*")
"""What pydantic puts behind a sentence: all of the input, in Python's notation."""


class UserError(Exception):
    """Bad input: one clear sentence that names the file, field or tensor, and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """


def one_line(error: BaseException) -> str:
    """An exception as one line: its type and the last line of its message, looking through Ray's wrapping."""
    cause = getattr(error, "cause", None) or error
    return ": ".join(filter(None, (type(cause).__name__, last_line(str(cause)))))


def last_line(text: str) -> str:
    """The last line of a message that says what is wrong; empty where there is none."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(_ADDRESS)]
    return _INPUT.sub("", said[-1]) if said else ""
