"""Sending the user's scorer to other processes and nodes, which need not have its file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ray import cloudpickle

from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.reward.function import Scorer


@contextmanager
def send_scorer_by_value(scorer: Scorer) -> Iterator[None]:
    """While active, the scorer's module travels with it; other modules it imports must be installed everywhere.

    Raises:
        UserError: Something at the top of the module cannot be pickled.
    """
    module = sys.modules[scorer.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        try:
            cloudpickle.dumps(scorer)
        except Exception as error:
            raise UserError(
                f"reward.scorer: {module.__file__} cannot be sent to the trials ({one_line(error)}); make what it "
                "keeps at the top of the file inside the function."
            ) from error
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)
