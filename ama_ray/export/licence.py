"""What the model cards of the parents say of their licences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from huggingface_hub import ModelCard

from ama_ray.checkpoints.checkpoint import fetch
from ama_ray.errors import UserError
from ama_ray.export.merge_file import Licence

if TYPE_CHECKING:
    from pathlib import Path

_CARD = "README.md"


def licence(source: str) -> Licence | None:
    """The licence that the model card of a checkpoint names; None where there is no card, or none in it.

    Args:
        source: Folder or hub id.
    """
    try:
        path = fetch(source, (_CARD,)) / _CARD
    except UserError:  # a checkpoint that is in the hub's cache can be exported without a connection
        return None
    return _stated(path) if path.is_file() else None


def _stated(path: Path) -> Licence | None:
    try:
        data = ModelCard.load(path, ignore_metadata_errors=True).data
    except (ValueError, yaml.YAMLError, OSError):  # a card that is off is no reason not to merge
        return None
    given = data.license[0] if isinstance(data.license, list) and len(data.license) == 1 else data.license
    if not isinstance(given, str):
        return None
    return Licence(id=given, name=_text(data.license_name), link=_text(data.license_link))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
