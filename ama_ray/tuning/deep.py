"""The deep check by itself, as `ama-ray check --deep` asks for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ama_ray.tuning.cluster import ray_cluster
from ama_ray.tuning.memory import own_store
from ama_ray.tuning.preparation import prepare
from ama_ray.tuning.travel import send_scorers_by_value

if TYPE_CHECKING:
    from ama_ray.engine.deep_check import Verdict
    from ama_ray.inputs import Inputs


def deep_check(inputs: Inputs) -> Verdict:
    """Compares a swapped engine with a fresh one on the exported merge, whatever earlier checks said.

    Raises:
        UserError: They differ, or an engine does not start on this pair.
    """
    with send_scorers_by_value(inputs.evaluations["search"].rewards), ray_cluster(partial(own_store, inputs)):
        return prepare(inputs, lambda line: None, deep=True).verdict
