"""The keyword arguments of `search()` are the fields of a run file, of the same types where Python gives no more."""

from typing import Any, Literal, get_type_hints

import pytest

from ama_ray.config import RunConfig
from ama_ray.config.aligned import Mix
from ama_ray.config.delta import Delta
from ama_ray.config.distill import Distill
from ama_ray.config.engine import EngineSettings
from ama_ray.config.fields import Towers
from ama_ray.config.keywords import Keywords
from ama_ray.config.report import Report
from ama_ray.config.search import Budget, Stop, TokenCost

SAME = (
    *("mix", "towers", "allow_test_split", "trials", "mean_ratio", "unclear_trade", "early_stopping", "seed"),
    *("report", "stop", "budget", "tokens", "distill", "engine"),
)
"""Those of which a file can say as much as Python, but for mappings in place of parts."""


def hints() -> dict[str, Any]:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from optuna.samplers import BaseSampler

    names = {
        **{"Mapping": Mapping, "Sequence": Sequence, "Path": Path, "BaseSampler": BaseSampler, "Towers": Towers},
        **{"Mix": Mix, "Delta": Delta},
        **{"Distill": Distill, "EngineSettings": EngineSettings, "Report": Report, "Budget": Budget, "Stop": Stop},
        **{"TokenCost": TokenCost, "Mapped": Mapping[str, Any], "Any": Any, "Literal": Literal},
    }
    return get_type_hints(Keywords, localns=names)


def test_the_fields_are_those_of_a_run_file_in_its_order() -> None:
    assert list(hints()) == list(RunConfig.model_fields)


@pytest.mark.parametrize("name", SAME)
def test_the_types_are_those_of_a_run_file(name: str) -> None:
    from collections.abc import Mapping

    field = RunConfig.model_fields[name].annotation
    assert hints()[name] in (field, field | Mapping[str, Any] if name in SAME[8:] else field)
