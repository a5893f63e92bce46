"""`objectives.json`: what the objectives of a run are made of, written at its start and read by whoever looks at it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError, field_validator

from ama_ray.config.fields import Model
from ama_ray.config.mistakes import mistakes
from ama_ray.errors import UserError
from ama_ray.reading import read_text
from ama_ray.scores.metrics import METRICS
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm, RewardTerm, TokensTerm
from ama_ray.storage.files import known_json, replacing
from ama_ray.storage.names import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class StoredReward(Model):
    """The fields of a `RewardTerm`."""

    name: str
    objective: str
    weight: float
    prompts: int


class StoredProbe(Model):
    """The fields of a `ProbeTerm`."""

    name: str
    family: str
    metric: str

    @field_validator("metric")
    @classmethod
    def _is_known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"there is no metric {metric!r}")
        return metric


class StoredTokens(Model):
    """The fields of a `TokensTerm`."""

    of: str
    is_objective: bool


class ObjectivesFile(Model):
    """The terms of the objectives of a run.

    Only the probes' own files, presets and tasks say what their metrics and families are. Stored here, they need not be
    opened to look at a run, which may be a stranger's.
    """

    rewards: tuple[StoredReward, ...] = Field(min_length=1)
    probes: tuple[StoredProbe, ...] = Field(min_length=1)
    counted: StoredTokens
    test_data: tuple[str, ...] = Field((), description="rewards and probes whose search items are from a test split")
    tokens: dict[str, float] = Field({}, description="most tokens that an item takes, by name of the reward or probe")

    @classmethod
    def of(
        cls, objectives: Objectives, test_data: tuple[str, ...] = (), tokens: Mapping[str, float] | None = None
    ) -> ObjectivesFile:
        """The file of a run with these objectives."""
        rewards, probes = ([asdict(term) for term in terms] for terms in (objectives.rewards, objectives.probes))
        fields = {"rewards": rewards, "probes": probes, "counted": asdict(objectives.tokens)}
        return cls.model_validate(fields | {"test_data": test_data, "tokens": dict(tokens or {})})

    @property
    def objectives(self) -> Objectives:
        """The objectives of the run."""
        return Objectives(
            tuple(RewardTerm(**term.model_dump()) for term in self.rewards),
            tuple(ProbeTerm(**term.model_dump()) for term in self.probes),
            TokensTerm(**self.counted.model_dump()),
        )

    @classmethod
    def read(cls, folder: Path) -> ObjectivesFile:
        """Reads the file in the folder of a run.

        Raises:
            UserError: It is missing, or damaged.
        """
        path = folder / OBJECTIVES
        try:
            return cls.model_validate_json(read_text(path))
        except FileNotFoundError:
            raise UserError(f"{path}: missing; a search writes it when it starts.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read ({error}).") from None
        except ValidationError as error:
            raise UserError(f"{path}: damaged ({mistakes(error, cls, known_json(path))[0]}).") from None

    def write(self, folder: Path) -> None:
        """Writes the file into the folder of a run, in one step."""
        with replacing(folder / OBJECTIVES) as file:
            file.write(self.model_dump_json(indent=2) + "\n")
