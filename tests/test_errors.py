"""Errors of others, made one line that says what is wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

from ama_ray.errors import last_line, one_line


class Settings(pydantic.BaseModel):
    cache: str

    @pydantic.model_validator(mode="after")
    def _needs_parts(self) -> Settings:
        raise ValueError("Chunked prefill is required for this cache.")


def test_what_pydantic_found_is_told_and_not_where_to_read_about_it() -> None:
    with pytest.raises(pydantic.ValidationError) as found:
        Settings(cache="align")
    assert "For further information" in str(found.value).splitlines()[-1]
    assert one_line(found.value) == "ValidationError: Value error, Chunked prefill is required for this cache."


def test_the_cause_that_ray_wraps_is_told() -> None:
    died: Any = RuntimeError('The actor died.\n  File "worker.py", line 3\nValueError: no room\n\n')
    assert one_line(died) == "RuntimeError: ValueError: no room"
    wrapped: Any = SimpleNamespace(cause=KeyError("x"))
    assert one_line(wrapped) == "KeyError: 'x'"


@pytest.mark.parametrize("text", ["", " \n", "\n    For further information visit https://errors.pydantic.dev\n"])
def test_what_says_nothing_is_left_out(text: str) -> None:
    assert last_line(text) == ""
    assert one_line(ValueError(text)) == "ValueError"
