"""The pair of a run that has been searched, as it was then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.errors import UserError
from ama_ray.reading import read_json
from ama_ray.storage.names import IDENTITY

if TYPE_CHECKING:
    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import RunConfig

PAIR = "base and aligned"
"""The entry of `identity.json` that holds `Pair.checksum`."""


def open_pair(config: RunConfig) -> Pair:
    """Opens the pair of a run.

    Args:
        config: The run file; where the folder of the run has no `identity.json`, the pair is taken as it is.

    Raises:
        UserError: A checkpoint is missing or off, or the pair is no longer the one that was searched.
    """
    from ama_ray.checkpoints.pair import Pair

    pair, file = Pair.open(config.base, config.aligned, config.engine.dtype), config.out / IDENTITY
    try:
        searched = read_json(file)[PAIR]
    except FileNotFoundError:
        return pair
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: damaged ({error}).") from None
    if searched != pair.checksum:
        raise UserError(
            f"{config.base} and {config.aligned}: their weights are not those that {config.out} was searched with, by "
            f"its {IDENTITY}; put those back."
        )
    return pair
