"""Files that are not what their names say, and a limit on how long a reader may take over one."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from ama_ray.errors import UserError
from ama_ray.reading import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LIMIT + 1)  # takes no room on the disk


ODD: dict[str, Callable[[Path], None]] = {"pipe": _pipe, "device": _device, "folder": _folder, "large": _large}
"""What makes a file that is no regular one of a sensible size."""

VALUES: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
"""What JSON can hold."""
DEEP = "[" * 100_000 + "]" * 100_000
"""JSON that is nested deeper than Python goes."""
NESTED = '{"a":' * 400 + "1" + "}" * 400
"""JSON that is nested as deep as `json` goes, but not what is made of it."""


def put(path: Path, kind: str) -> None:
    """Puts a file of `ODD` in the place of another."""
    path.unlink(missing_ok=True)
    ODD[kind](path)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fails where what is inside takes longer; also where it waits for a pipe that nobody writes to."""

    def late(*_: object) -> None:
        pytest.fail(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def one_sentence(*words: str) -> Iterator[None]:
    """What is inside is refused with one line that holds these words."""
    with within(20), pytest.raises(UserError) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def refused_or_not(call: Callable[[], Any]) -> None:
    """A call returns, or is refused with one line; anything else that it raises fails."""
    try:
        call()
    except UserError as error:
        assert "\n" not in str(error)
