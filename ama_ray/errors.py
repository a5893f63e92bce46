"""The one error a user is meant to read, and other errors made readable."""


class UserError(Exception):
    """Bad input: one clear sentence that names the file, field or tensor, and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """


def one_line(error: BaseException) -> str:
    """An exception as one line: its type and the last line of its message, looking through Ray's wrapping."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return ": ".join([type(cause).__name__, *lines[-1:]])
