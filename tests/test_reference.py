"""docs/run-file.md says what the models say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import BaseModel

from ama_ray.config import RunConfig
from ama_ray.config.probes import PROBES
from ama_ray.config.rewards import REWARDS
from ama_ray.space.search_space import SearchSpace
from scripts import reference

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_page_is_as_the_models_are_now() -> None:
    remedy = "docs/run-file.md is stale; make it again by `python -m scripts.reference`"
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), remedy


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for part in get_args(annotation):
        yield from models_in(part)


KINDS = [*PROBES.settings.values(), *REWARDS.settings.values()]
MODELS = {model for root in (RunConfig, SearchSpace, *KINDS) for model in models_in(root)}


@pytest.mark.parametrize("model", sorted(MODELS, key=str))
def test_every_field_of_every_model_has_a_meaning_on_the_page(model: type[BaseModel]) -> None:
    unsaid = [name for name, field in model.model_fields.items() if not field.description and name != "kind"]
    assert unsaid == []
    fields = {
        field for described in reference.described() if issubclass(model, described) for field in described.model_fields
    }
    assert fields >= set(model.model_fields)
