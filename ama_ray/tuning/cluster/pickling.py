"""Sending the user's scorers to other processes and nodes, which need not have their files."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ray import cloudpickle

from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ama_ray.rewards.base import PreparedReward


@contextmanager
def scorers_by_value(rewards: Iterable[PreparedReward]) -> Iterator[None]:
    """While active, the modules of the rewards' functions travel; what they import must be installed everywhere.

    Raises:
        UserError: Something at the top of a module cannot be pickled.
    """
    functions = [function for reward in rewards for function in reward.functions]
    modules = [sys.modules[name] for name in dict.fromkeys(function.__module__ for function in functions)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        for function in functions:
            try:
                cloudpickle.dumps(function)
            except Exception as error:
                raise UserError(
                    f"reward.scorer: {sys.modules[function.__module__].__file__} cannot be sent to the trials "
                    f"({one_line(error)}); make what it keeps at the top of the file inside the function."
                ) from error
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
