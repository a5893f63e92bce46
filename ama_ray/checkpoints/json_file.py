"""Files of JSON that belong to a checkpoint."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ama_ray import reading
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def read_json(path: Path) -> dict[str, Any]:
    """The object that a file holds.

    Raises:
        UserError: It is missing, no regular file, or holds something else.
    """
    try:
        fields = reading.read_json(path)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; name a folder that save_pretrained wrote.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); copy or download it again.") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); copy or download it again.") from None
    if not isinstance(fields, dict):
        raise UserError(f"{path}: a JSON object is expected; copy or download it again.")
    return fields


def read_json_if_there(path: Path) -> dict[str, Any]:
    """The object that a file holds; empty where there is no file.

    Raises:
        UserError: It is no regular file, or holds something else.
    """
    return read_json(path) if os.path.lexists(path) else {}
