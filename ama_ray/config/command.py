"""`Command`: a program of the user that asks the live weights over HTTP and says what they score."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from ama_ray.config.fields import Called, File, Model


def _divided(value: Any) -> Any:
    return shlex.split(value) if isinstance(value, str) else value


def _named(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command or not command[0]:
        raise ValueError("give the program, and its arguments after it")
    return command


class Command(Model):
    """What is run, while the weights of a trial are live, to ask them and to score what they say.

    It finds them by the variables of OpenAI's clients: `OPENAI_BASE_URL` and `OPENAI_API_KEY`; requests name
    `$AMA_RAY_MODEL` as their model. `AMA_RAY_SPLIT` is `search` or `report`, and it is up to the command to score other
    items on each. What it writes to the file `$AMA_RAY_OUTPUT`, or else the last line that it prints, is JSON:
    `{"scores": [0, 1, ...]}`, a number per item, the same items in the same order for every trial, or
    `{"scores": {"item": 1, ...}}`, by any names.
    """

    command: Annotated[
        tuple[str, ...],
        BeforeValidator(_divided, json_schema_input_type=str | tuple[str, ...]),
        AfterValidator(_named),
        Called("text, or list of texts"),
    ] = Field(description="the program and its arguments; a text is divided as a shell does, but no shell runs it")
    folder: File = Field(".", description="where it is run", validate_default=True)
    timeout: float = Field(3600, gt=0, description="seconds after which it is ended, and its trial has failed")
