"""When a search ends before its last trial."""

from __future__ import annotations

from pydantic import Field

from ama_ray.config.base import Model


class Stop(Model):
    """What ends a search early; the report follows as it does after the last trial."""

    patience: int = Field(
        ge=1,
        description="end once so many trials of the sampler in a row have won no hypervolume beyond error; "
        "10 or more, as the first ones of a sampler often win nothing",
    )
