"""The one error a user is meant to read."""


class UserError(Exception):
    """Bad input: one clear sentence that names the file, field or tensor, and the remedy.

    The command line prints it without a traceback and exits with code 2.
    """
