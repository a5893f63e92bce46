"""`RunConfig`: everything a run needs, validated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, field_validator, model_validator

from ama_ray.config.distill import Distill
from ama_ray.config.engine import EngineSettings
from ama_ray.config.fields import HIGHEST_RATIO, CheckpointSource, File, Model, Range, Space, Towers, listed
from ama_ray.config.probes import PresetProbe, Probe
from ama_ray.config.rewards import Reward
from ama_ray.config.search import Bounds, Budget, Callbacks, Reference, Sampler, Stop, WarmStart
from ama_ray.errors import UserError

BASELINE_RATIOS = tuple(i / 10 for i in range(11))
"""The uniform ratios every run scores on the report split: base (0), nine points between, aligned (1)."""
FIRST_RATIOS = (0.0, 1.0, 0.5)
"""Those of them that every search starts from: enough for a model of the rest, which would take trials from it."""
MOST_OBJECTIVES = 4
RESERVED = (
    *("number", "state", "reason", "origin", "share"),
    *("ratio", "report", "tokens", "seconds", "front", "file", "allow_pickle"),
)
"""Columns of `trials.csv` and `front.csv`, beginnings of columns, and words that numpy's files of arrays keep."""


class Report(Model):
    """What is scored again, after the search, on items that the search never saw."""

    share: float = Field(0.5, gt=0, lt=1, description="of the items of a file that has no report_file beside it")
    samples: int = Field(2, ge=1, description="times as many replies per prompt as in the search")
    points: int = Field(
        10, ge=1, description="most points besides the uniform ones: the front, then those that could be on it"
    )


class RunConfig(Model):
    """Everything a run needs."""

    base: CheckpointSource = Field(description="the checkpoint from before RLHF, in safetensors")
    aligned: CheckpointSource = Field(
        description="the one from after RLHF, of the same architecture and tokenizer; or a LoRA adapter over base"
    )
    space: Space = Field(
        "per-layer",
        description="the search space: which tensors share a ratio; bundled are uniform, three-parts, six-parts, "
        "per-layer, attention-mlp, experts and profile",
    )
    range: Range | None = Field(
        None,
        description="lowest and highest ratio, instead of the search space's; rules with a range of their own keep it; "
        "[0, 1.3] extrapolates past aligned",
    )
    towers: Towers = Field(
        "aligned",
        description="of a model of text and images or sound, where all but the language model, which is searched, is "
        "from in a merge; `average` is the middle of both",
    )
    reward: Annotated[tuple[Reward, ...], BeforeValidator(listed)] = Field(
        min_length=1, description="what is maximised"
    )
    tax: tuple[Probe, ...] = Field(min_length=1, description="the probes whose loss is minimised")
    allow_test_split: bool = Field(False, description="search on items of a benchmark's test split")
    trials: int = Field(40, ge=len(FIRST_RATIOS), description="most in the search, its three uniform ones included")
    sampler: Sampler = Field("auto", description="what chooses the ratios: a name, or the dotted path of a class")
    warm_start: tuple[WarmStart, ...] = Field(
        (),
        description="what the search starts from besides three uniform points: `uniform` (all eleven, and that of "
        "`mean_ratio`), `parts`, `distill`, folders of earlier runs",
    )
    mean_ratio: float | None = Field(
        None, gt=0, lt=HIGHEST_RATIO, description="search only ratios with this mean over the groups, as the paper does"
    )
    stop: Stop | None = Field(None, description="what ends the search before its last trial; default: nothing")
    budget: Budget | None = Field(None, description="what the whole run may spend; default: as much as its trials take")
    unclear_trade: Literal["stop", "go-on"] = Field(
        "stop",
        description="where aligned, by the first two trials, has not more reward than base or costs no tax beyond "
        "error: `stop` after these two and say how many items are missing, or `go-on` with a warning",
    )
    early_stopping: bool = Field(True, description="stop trials that a part of the items shows to be hopeless")
    constraints: Bounds = Field(
        {},
        description="bounds such as '<= 0.02' that points of the front satisfy, by `tax`, a reward objective, "
        "`probe.NAME` or `family.NAME` (its tax); estimates decide, without allowance for their errors: leave a margin",
    )
    reference: Reference = Field(
        {},
        description="worst values that are worth anything, by objective; hypervolume is counted from there; default: "
        "base's rewards and aligned's tax",
    )
    distill: Distill = Field(Distill(), description="proxy distillation, by `ama-ray distill`")
    report: Report = Field(Report(), description="what is scored again on the report split")
    seed: int = Field(0, ge=0, lt=2**32, description="of the sampler and of sampled replies")
    out: File = Field(description="the folder for the results")
    storage: str | None = Field(
        None,
        pattern=r"^[a-z0-9+]+://",
        description="Optuna URL of a database for the study, as postgresql://host/name; default: a journal in `out`",
    )
    mirror: str | None = Field(
        None,
        pattern=r"^[a-z0-9+]+://",
        description="address of a folder in a bucket, as s3://bucket/run, that keeps a copy of `out`, brought up to "
        "date after every trial; where `out` is empty, the run there is gone on with",
    )
    callbacks: Callbacks = ()
    engine: EngineSettings = Field(EngineSettings(), description="the vLLM engines")

    @property
    def reward_objectives(self) -> tuple[str, ...]:
        """The names of the objectives that rewards make up, in the order of the run file."""
        return tuple(dict.fromkeys(reward.objective for reward in self.reward))

    @property
    def first_ratios(self) -> tuple[float, ...]:
        """The uniform ratios that the search starts from; the others are scored on the report split only."""
        return BASELINE_RATIOS if "uniform" in self.warm_start else FIRST_RATIOS

    @property
    def _probe_names(self) -> list[str]:
        return [probe.name or probe.preset if isinstance(probe, PresetProbe) else probe.name for probe in self.tax]

    @model_validator(mode="after")
    def _names_are_unique(self) -> RunConfig:
        names = [*(reward.name for reward in self.reward), *self._probe_names]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {twice[0]!r} is used twice; give each probe and each reward a name of its own")
        if taken := [name for name in (*names, *self.reward_objectives) if name in RESERVED]:
            raise ValueError(f"the name {taken[0]!r} has a meaning of its own in trials.csv; choose another")
        if "tax" in self.reward_objectives:
            raise ValueError("a reward cannot count towards the tax; name its objective otherwise")
        if len(self.reward_objectives) + 1 > MOST_OBJECTIVES:
            raise ValueError(
                f"{len(self.reward_objectives)} reward objectives and the tax are more than {MOST_OBJECTIVES} "
                "objectives; let some rewards share an `objective`"
            )
        return self

    @field_validator("storage")
    @classmethod
    def _storage_has_no_password(cls, storage: str | None) -> str | None:
        if storage and re.match(r"[^/]*//[^/@]*:[^/@]+@", storage):
            raise ValueError("leave the password out, as run files are kept; use ~/.pgpass or PGPASSWORD")
        return storage

    @model_validator(mode="after")
    def _bounded_names_are_known(self) -> RunConfig:
        objectives = [*self.reward_objectives, "tax"]
        bounded = [*objectives, *(f"probe.{name}" for name in self._probe_names)]
        # Which families there are, only the presets know, and so `Constraints.of`.
        refused = [name for name in self.constraints if name not in bounded and not name.startswith("family.")]
        if refused:
            raise ValueError(f"constraints: there is no {refused[0]!r}; there are {', '.join(bounded)} and family.NAME")
        if unknown := [name for name in self.reference if name not in objectives]:
            raise ValueError(f"reference: there is no {unknown[0]!r}; there are {', '.join(objectives)}")
        return self

    @classmethod
    def load(cls, path: str | Path, **overrides: Any) -> RunConfig:
        """Reads a run file; relative paths in it are relative to the file.

        Args:
            path: A YAML file with the fields of this class.
            overrides: Fields that replace those of the file; their relative paths are relative to the working folder.

        Raises:
            UserError: The file is missing, is not YAML, or a field is wrong.
        """
        path = Path(path)
        try:
            fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such run file; write one, or check the path.") from None
        except IsADirectoryError:
            raise UserError(f"{path}: this is a folder; name the run file in it.") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not a readable YAML file ({' '.join(str(error).split())}).") from None
        if not isinstance(fields, dict):
            raise UserError(f"{path}: a run file is a mapping of fields such as base, aligned, reward, tax.")
        return cls.parse(fields | _parsed(overrides), str(path), path.resolve().parent)

    @classmethod
    def parse(cls, fields: dict[str, Any], source: str, folder: Path | None = None) -> RunConfig:
        """Validates fields, with errors as one sentence that names `source` and the field.

        Args:
            fields: The fields of this class.
            source: Where they are from, for the error.
            folder: What relative paths are relative to; default: the working folder.

        Raises:
            UserError: A field is missing, unknown or wrong.
        """
        try:
            return cls.model_validate(fields, context={"folder": folder})
        except ValidationError as error:
            raise _sentence(error, source) from None

    @classmethod
    def from_arguments(cls, **fields: Any) -> RunConfig:
        """Validates keyword arguments; relative paths are relative to the working folder.

        Raises:
            UserError: A field is missing, unknown or wrong.
        """
        return cls.parse(fields, "search()")

    def to_yaml(self) -> str:
        """The run file as resolved: every default filled in, every path absolute."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)


def _parsed(overrides: dict[str, Any]) -> dict[str, Any]:
    """Validates fields by themselves, so that their paths are not taken as relative to the run file."""
    parsed: dict[str, Any] = {}
    for name, value in overrides.items():
        if (field := RunConfig.model_fields.get(name)) is None:
            raise UserError(f"search(): there is no field {name!r} in a run file.")
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]
            parsed[name] = adapter.validate_python(value)
        except ValidationError as error:
            raise _sentence(error, f"search(): {name}") from None
    return parsed


def _sentence(error: ValidationError, source: str) -> UserError:
    first = error.errors()[0]
    location = first["loc"]
    # After the position of a reward or a probe, pydantic names its kind, which is no field.
    where = [str(part) for i, part in enumerate(location) if not (i and isinstance(location[i - 1], int))]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    return UserError(f"{': '.join([source, *(['.'.join(where)] if where else []), message])}{more}.")
