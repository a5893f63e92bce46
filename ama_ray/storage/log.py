"""`log.txt`: what a run told, what Ray and vLLM warned of, and why it failed. It never holds a key or a password."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ama_ray.environment import HIDDEN, key_values, ray_token
from ama_ray.errors import UserError
from ama_ray.storage.names import LOG, RUN
from ama_ray.storage.run_folder import flat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ama_ray.config import RunConfig

_LEVELS = {"ama_ray": logging.INFO, "ray": logging.WARNING, "vllm": logging.WARNING}
"""The loggers that the file listens to, and from which level on."""
_PASSWORD_OF_URL = re.compile(r"(?<=://)([^\s/@:]*):([^\s@]+)@")
_KEY_OF_QUERY = re.compile(r"([?&][^=&\s]*(?:password|secret|token|key)[^=&\s]*=)[^&\s]+", re.IGNORECASE)

_log = logging.getLogger(__name__)


@contextmanager
def log_to(config: RunConfig) -> Iterator[None]:
    """Writes the log of a run into its folder, behind what earlier processes wrote there.

    Args:
        config: The run file; its folder is there.

    Raises:
        UserError: The file cannot be written.
    """
    path = config.out / LOG
    try:
        file = _LogFile(path, _secrets(config))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give `out` another folder.") from None
    loggers = {logging.getLogger(name): level for name, level in _LEVELS.items()}
    file.addFilter(lambda record: record.levelno >= _LEVELS[record.name.partition(".")[0]])
    own = logging.getLogger("ama_ray")
    before = own.level
    own.setLevel(_LEVELS["ama_ray"])
    for logger in loggers:
        logger.addHandler(file)
    try:
        _log.info("ama_ray %s, process %d on %s", version("ama_ray"), os.getpid(), os.uname().nodename)
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(file)
        own.setLevel(before)
        with suppress(OSError):
            file.close()


@contextmanager
def failure_to_log(config: RunConfig) -> Iterator[None]:
    """Writes what ends a run early into its log, with the traceback, and has the error name the log.

    The error of a run that had not begun names none: it is about what the user gave, and says all there is to say.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        _log.warning("ended by %s", error or "a signal")
        raise
    except Exception as error:
        _log.exception("the run failed")
        if (config.out / RUN).is_file():
            error.add_note(f"The log of the run is {config.out / LOG}.")
        raise


class _LogFile(logging.FileHandler):
    """Puts the time and the level in front of every line, those of tracebacks included, and hides secrets.

    It does so itself, as `ray.init` replaces the formatters of all handlers that listen to Ray. It is written as long
    as it can be: a full disk must not end a run on account of its log.
    """

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        """Hides these, and whatever looks like a password in an address."""
        super().__init__(path, encoding="utf-8")
        self._lines = logging.Formatter("%(message)s")
        self._secrets = secrets

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leaves the line out."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        text = self._lines.format(record)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _PASSWORD_OF_URL.sub(rf"\1:{HIDDEN}@", text)
        text = _KEY_OF_QUERY.sub(rf"\1{HIDDEN}", text)
        head = f"{self._lines.formatTime(record, '%Y-%m-%d %H:%M:%S%z')} {record.levelname:<7} "
        return "\n".join(head + line for line in text.splitlines())


def _secrets(config: RunConfig) -> list[str]:
    """What must not be in a log: passwords, and the values of variables that hold keys or sound as if they did."""
    found = key_values()
    with suppress(OSError, ValueError):  # a file that cannot be read holds nothing that could be written
        found.add(ray_token())
    for field, text in flat(config.model_dump(mode="json")):
        if isinstance(text, str) and field.endswith("api_key_env"):
            found.add(os.environ.get(text, ""))
        elif isinstance(text, str):
            passwords = [password for _, password in _PASSWORD_OF_URL.findall(text)]
            found.update(passwords, map(unquote, passwords))  # a driver may give it as it is
    return sorted(found - {""}, key=len, reverse=True)
