"""`RunConfig`: everything a run needs, validated."""

from __future__ import annotations

import re
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, field_validator, model_validator

from ama_ray.config.aligned import Aligned, Mix, are_steps, misfits, names_of, sources_of
from ama_ray.config.delta import Operator
from ama_ray.config.distill import Distill
from ama_ray.config.engine import EngineSettings
from ama_ray.config.fields import (
    HIGHEST_RATIO,
    CheckpointSource,
    File,
    Model,
    Range,
    Space,
    StorageAddress,
    Towers,
    listed,
)
from ama_ray.config.mistakes import Mistake, mistakes
from ama_ray.config.probes import CommandProbe, PresetProbe, Probe
from ama_ray.config.report import FIRST_RATIOS, Report, baselines, firsts
from ama_ray.config.rewards import CommandReward, RepliesReward, Reward
from ama_ray.config.search import Bounds, Budget, Callbacks, Reference, Sampler, Stop, TokenCost, WarmStart
from ama_ray.config.yaml_file import YamlFile
from ama_ray.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_OBJECTIVES = 4
RESERVED = (
    *("number", "state", "reason", "origin", "share", "ratio", "report", "tokens", "seconds", "front", "file"),
    "allow_pickle",
)
"""Columns of `trials.csv` and `front.csv`, beginnings of columns, and words that numpy's files of arrays keep."""


class RunConfig(Model):
    """Everything a run needs."""

    base: CheckpointSource = Field(
        description="the checkpoint from before RLHF, in safetensors; on the hub also `id@revision`"
    )
    aligned: Aligned = Field(description="from after RLHF, with tokens added or not, or a LoRA adapter; or several")
    mix: Mix | None = Field(None, description="of several aligned models: see there")
    delta: Operator = None
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
    tokens: TokenCost = Field(TokenCost(), description="what `tokens` counts, and whether fewer are an objective")
    constraints: Bounds = Field(
        {},
        description="bounds such as '<= 0.02' that points of the front satisfy, by `tax`, `tokens`, a reward "
        "objective, `probe.NAME` or `family.NAME` (its tax); estimates decide, without allowance for their "
        "errors: leave a margin",
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
    storage: StorageAddress | None = Field(
        None,
        description="Optuna URL of a database for the study, as postgresql://host/name; default: a journal in `out`",
    )
    mirror: StorageAddress | None = Field(
        None,
        description="address of a folder in a bucket, as s3://bucket/run, that keeps a copy of `out`, brought up to "
        "date after every trial; where `out` is empty, the run there is gone on with",
    )
    callbacks: Callbacks = ()
    engine: EngineSettings = Field(EngineSettings(), description="the vLLM engines")

    @property
    def sources(self) -> tuple[str, ...]:
        """Folders or hub ids: of base, then of the aligned models."""
        return self.base, *sources_of(self.aligned)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the aligned models, as numbers bear them: empty where there is one, or one is made of them."""
        return ("",) if self.delta and self.delta.joins else names_of(self.aligned)

    @property
    def reward_objectives(self) -> tuple[str, ...]:
        """The names of the objectives that rewards make up, in the order of the run file."""
        return tuple(dict.fromkeys(reward.objective for reward in self.reward))

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of all objectives: those of the rewards, `tokens` where they are one, `tax`."""
        return (*self.reward_objectives, *(["tokens"] * self.tokens.objective), "tax")

    @property
    def tokens_of(self) -> str:
        """The reward or probe whose replies `tokens` counts; empty where no reward has some and none is named."""
        return self.tokens.of or next((reward.name for reward in self.replies_rewards), "")

    @property
    def replies_rewards(self) -> tuple[RepliesReward, ...]:
        """The rewards of sampled replies to prompts."""
        return tuple(reward for reward in self.reward if isinstance(reward, RepliesReward))

    @property
    def commands(self) -> tuple[CommandReward | CommandProbe, ...]:
        """The rewards and probes that commands score."""
        return tuple(each for each in (*self.reward, *self.tax) if isinstance(each, CommandReward | CommandProbe))

    @property
    def first_points(self) -> int:
        """How many points of the baseline every search starts from."""
        return firsts(len(self.models))

    @property
    def baseline_points(self) -> int:
        """The most points of the baseline that a run scores on the report split."""
        return baselines(len(self.models), steps=are_steps(self.aligned))

    @property
    def _probe_names(self) -> list[str]:
        return [probe.name or probe.preset if isinstance(probe, PresetProbe) else probe.name for probe in self.tax]

    @model_validator(mode="after")
    def _parts_fit_together(self) -> RunConfig:
        if found := [*self._wrong_names(), *self._unknown_bounds(), *misfits(len(self.models), dict(self))]:
            raise ValueError("\n".join(found))
        return self

    def _wrong_names(self) -> Iterator[str]:
        names = [*(reward.name for reward in self.reward), *self._probe_names]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"the name {name!r} is used twice; give each probe and each reward a name of its own"
        for name in dict.fromkeys(name for name in (*names, *self.reward_objectives) if name in RESERVED):
            yield f"the name {name!r} has a meaning of its own in trials.csv; choose another"
        if "tax" in self.reward_objectives:
            yield "a reward cannot count towards the tax; name its objective otherwise"
        if self.commands and not self.engine.url and self.engine.max_model_len is None:
            yield (
                "engine.max_model_len: a command may ask anything; give the most tokens that its prompts take with "
                "their replies"
            )
        if not self.tokens_of and (self.tokens.objective or "tokens" in self.constraints):
            yield "tokens.of: no reward has replies that could be counted; name a probe that generates"
        if len(self.objectives) > MOST_OBJECTIVES:
            yield (
                f"{', '.join(self.objectives)} are more than {MOST_OBJECTIVES} objectives; let some rewards share an "
                "`objective`"
            )
        if self.tokens_of and self.tokens_of not in names:
            yield f"tokens.of: there is no {self.tokens_of!r}; there are {', '.join(names)}"

    @field_validator("storage")
    @classmethod
    def _storage_has_no_password(cls, storage: str | None) -> str | None:
        if storage and re.match(r"[^/]*//[^/@]*:[^/@]+@", storage):
            raise ValueError("leave the password out, as run files are kept; use ~/.pgpass or PGPASSWORD")
        return storage

    def _unknown_bounds(self) -> Iterator[str]:
        objectives = self.objectives
        bounded = [*dict.fromkeys([*objectives, "tokens"]), *(f"probe.{name}" for name in self._probe_names)]
        # Which families there are, only the presets know, and so `Constraints.of`.
        for name in self.constraints:
            if name not in bounded and not name.startswith("family."):
                near = did_you_mean(name, bounded)
                yield f"constraints: there is no {name!r}; there are {', '.join(bounded)} and family.NAME{near}"
        for name in self.reference:
            if name not in objectives:
                near = did_you_mean(name, objectives)
                yield f"reference: there is no {name!r}; there are {', '.join(objectives)}{near}"

    @classmethod
    def load(cls, path: str | Path, **overrides: Any) -> RunConfig:
        """Reads a run file; relative paths in it are relative to the file.

        Args:
            path: A YAML file with the fields of this class.
            overrides: Fields that replace those of the file; their relative paths are relative to the working folder.

        Raises:
            UserError: The file is missing, is not YAML, or fields are wrong: a line for each mistake.
        """
        path = Path(path)
        try:
            file = YamlFile.read(path)
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such run file; write one, or check the path.") from None
        except IsADirectoryError:
            raise UserError(f"{path}: this is a folder; name the run file in it.") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from None
        if not isinstance(file.value, dict):
            raise UserError(f"{path}: a run file is a mapping of fields such as base, aligned, reward, tax.")
        return cls.parse(file.value | _parsed(overrides), str(path), path.resolve().parent, file)

    @classmethod
    def parse(
        cls, fields: dict[str, Any], source: str, folder: Path | None = None, file: YamlFile | None = None
    ) -> RunConfig:
        """Validates fields, with an error that names `source` and every field that is wrong.

        Args:
            fields: The fields of this class.
            source: Where they are from, for the error.
            folder: What relative paths are relative to; default: the working folder.
            file: The file they are from, which knows their lines.

        Raises:
            UserError: A field is missing, unknown or wrong; a line for each mistake.
        """
        file = file or YamlFile(fields)
        found = [
            Mistake(place, f"this field stands again on line {line}; remove one of them") for place, line in file.twice
        ]
        config = None
        try:
            config = cls.model_validate(fields, context={"folder": folder})
        except ValidationError as error:
            found += mistakes(error, cls, fields)
        if config is None or found:
            said = sorted(((file.line_of(mistake.place), str(mistake)) for mistake in found), key=itemgetter(0))
            raise UserError.of(source, [f"line {line}, {text}" if line else text for line, text in said])
        return config

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
            near = did_you_mean(name, RunConfig.model_fields)
            raise UserError.of("search()", [f"there is no field {name!r} in a run file{near}"])
        of_field: Any = Annotated[field.annotation, field]
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(of_field)
            parsed[name] = adapter.validate_python(value)
        except ValidationError as error:
            raise UserError.of("search()", list(map(str, mistakes(error, of_field, value, (name,))))) from None
    return parsed
