"""Sending the user's scorer to other processes and nodes, which need not have its file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ray import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.reward.function import Scorer


@contextmanager
def send_scorer_by_value(scorer: Scorer) -> Iterator[None]:
    """While active, the scorer's module travels with it; other modules it imports must be installed everywhere."""
    module = sys.modules[scorer.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)
