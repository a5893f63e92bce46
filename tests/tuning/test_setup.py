"""Whether the engine that loads a pair is waited for."""

from __future__ import annotations

import pytest

from ama_ray.tuning.setup import BESIDE, is_alone


@pytest.mark.parametrize(
    ("pair_bytes", "gpus", "there", "alone"),
    [
        (BESIDE, 0, 0, False),
        (BESIDE + 1, 0, 8, True),
        (BESIDE + 1, 1, 0, True),  # a node with a GPU has yet to come
        (BESIDE + 1, 1, 1, True),
        (BESIDE + 1, 1, 2, False),  # the other GPU need not idle
        (BESIDE + 1, 4, 7, True),
        (BESIDE + 1, 4, 8, False),
    ],
)
def test_only_where_there_is_no_room_beside_it(pair_bytes: int, gpus: int, there: int, alone: bool) -> None:
    assert is_alone(pair_bytes, gpus, there) == alone
