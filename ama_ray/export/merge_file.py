"""`merge.json`: the recipe of a merge, from which its weights can be made again bit for bit."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from ama_ray.config.data import Split
from ama_ray.config.delta import Delta
from ama_ray.config.fields import HIGHEST_RATIO, Model, id_and_revision, is_hub_id
from ama_ray.config.mistakes import mistakes
from ama_ray.errors import UserError
from ama_ray.reading import read_text
from ama_ray.scores.interval import Interval
from ama_ray.scores.trial import Estimate
from ama_ray.storage.files import known_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ama_ray.scores.trial import ProbeResult

NAME = "merge.json"


class Licence(Model):
    """What a parent's model card says of its licence; `name` and `link` go with `other`."""

    id: str
    name: str | None = None
    link: str | None = None


class Parent(Model):
    """One of the checkpoints that are merged."""

    source: str = Field(description="folder, or hub id with or without `@revision`, as it was given")
    checksum: str = Field(description="`Pair.checksums`")
    adapter: bool = Field(False, description="a LoRA adapter over base")
    licence: Licence | None = Field(None, description="None where its model card states none")

    @property
    def on_hub(self) -> bool:
        """Whether the source is a model on the hub."""
        return is_hub_id(self.source)

    @property
    def name(self) -> str:
        """The hub id, or the name of the folder: where it lies on a machine is nobody else's business."""
        return id_and_revision(self.source)[0] if self.on_hub else PurePath(self.source).name

    @property
    def revision(self) -> str | None:
        """The branch, tag or commit on the hub that was asked for; None for the newest and for a folder."""
        return id_and_revision(self.source)[1] if self.on_hub else None


Ratio = Annotated[float, Field(ge=0, le=HIGHEST_RATIO)]


class Group(Model):
    """Tensors that share a ratio."""

    name: str
    ratio: Annotated[
        Annotated[Ratio, Tag("one")] | Annotated[tuple[Ratio, ...], Tag("several")],
        # Without it, a mistake would be told as one of both.
        Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
    ] = Field(description="share of aligned: 0 is base, 1 is aligned; of several aligned models, the share of each")
    tensors: tuple[str, ...] = Field(min_length=1, description="full names")


def shares(ratio: float | tuple[float, ...]) -> tuple[float, ...]:
    """The share of each aligned model."""
    return ratio if isinstance(ratio, tuple) else (ratio,)


class Value(Model):
    """An estimate, its standard error and its 95% interval; None where it is not known."""

    value: float | None
    se: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: float, error: float, known: Interval | None = None) -> Value:
        """JSON has no NaN. Without a known interval, it is 1.96 standard errors to both sides."""
        interval = known or Interval.normal(Estimate(value, error))
        numbers = {"value": value, "se": error, "low": interval.low, "high": interval.high}
        return cls(**{key: each if math.isfinite(each) else None for key, each in numbers.items()})


class ScoredPoint(Model):
    """A point and what it scored."""

    name: str
    objectives: dict[str, Value]
    probes: dict[str, Value] = Field({}, description="score of each probe, in its metric")

    @classmethod
    def of(
        cls,
        name: str,
        objectives: dict[str, Estimate],
        probes: dict[str, ProbeResult],
        intervals: Mapping[str, Interval],
    ) -> ScoredPoint:
        """The point of a trial with these scores, and `Objectives.intervals` as far as they are known."""
        return cls(
            name=name,
            objectives={key: Value.of(each.value, each.se, intervals.get(key)) for key, each in objectives.items()},
            probes={
                key: Value.of(each.score, each.score_se, intervals.get(f"probe.{key}")) for key, each in probes.items()
            },
        )


class Found(Model):
    """How the ratios were found, and what they scored."""

    trial: int
    origin: str
    split: Split
    scores: tuple[ScoredPoint, ...] = Field(description="the merge itself, then what to compare it with")
    notes: tuple[str, ...] = Field(description="what to know of the scores, a sentence each")
    search: dict[str, str] = Field(description="what was run")
    versions: dict[str, str]
    digests: dict[str, str] = Field(description="SHA-256 of the pair, the items and the scorers")


class MergeFile(Model):
    """Everything that makes a merge, and what is known of it."""

    format: Literal["ama_ray merge"] = "ama_ray merge"
    version: Literal[1, 2, 3] = Field(1, description="2 where there are several aligned models, 3 where there is delta")
    base: Parent
    aligned: Parent | tuple[Parent, ...]
    delta: Delta | None = Field(None, description="what was done to the differences of aligned from base, if anything")
    dtype: str = Field(description="of the weights on disk")
    groups: tuple[Group, ...] = Field(min_length=1)
    files: dict[str, str] = Field({}, description="SHA-256 of every file but this one and the model card")
    made_with: dict[str, str] = Field(description="versions of what computed the weights")
    found: Found | None = None

    @model_validator(mode="after")
    def _every_tensor_has_one_ratio(self) -> MergeFile:
        count = Counter(tensor for group in self.groups for tensor in group.tensors)
        if twice := [tensor for tensor, times in count.items() if times > 1]:
            raise ValueError(f"the tensor {twice[0]} is in two groups; leave it in one")
        return self

    @model_validator(mode="after")
    def _every_model_has_a_share(self) -> MergeFile:
        several, version = not isinstance(self.aligned, Parent), self.version
        if version != (3 if self.delta else 2 if several else 1) or (several and len(self.parents) < 3):
            raise ValueError("version 1 is of one aligned model, version 2 of several, and version 3 has delta")
        if odd := [group.name for group in self.groups if len(shares(group.ratio)) != self.directions]:
            raise ValueError(
                f"the group {odd[0]} needs a share for each of the {self.directions} aligned models"
                if self.directions > 1
                else f"the group {odd[0]} needs one ratio"
            )
        return self

    @property
    def directions(self) -> int:
        """How many shares a group has: one for every aligned model, or for what was made of all of them."""
        return 1 if self.delta and self.delta.joins else len(self.parents) - 1

    @property
    def parents(self) -> tuple[Parent, ...]:
        """Base, then the aligned models."""
        return (self.base, self.aligned) if isinstance(self.aligned, Parent) else (self.base, *self.aligned)

    @property
    def roles(self) -> tuple[str, ...]:
        """What each parent is called: base, aligned; or base, aligned 1, aligned 2, ..."""
        count = len(self.parents) - 1
        return ("base", *(f"aligned {number}" if count > 1 else "aligned" for number in range(1, count + 1)))

    @property
    def shares_of(self) -> dict[str, tuple[float, ...]]:
        """The share of every aligned model in every tensor."""
        return {tensor: shares(group.ratio) for group in self.groups for tensor in group.tensors}

    @classmethod
    def load(cls, path: Path) -> MergeFile:
        """Reads `merge.json`.

        Raises:
            UserError: It cannot be read, or is none.
        """
        try:
            return cls.model_validate_json(read_text(path))
        except ValidationError as error:
            what = mistakes(error, cls, known_json(path))[0]
            raise UserError(f"{path}: not a {NAME} of this version: {what}.") from None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise UserError(f"{path}: cannot be read ({why}); name the {NAME} of an export.") from None

    def save(self, path: Path) -> None:
        """Writes it."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
