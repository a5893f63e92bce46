"""`RunConfig`: everything a run needs, validated. Imports no torch, ray or vllm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

BASELINE_RATIOS = tuple(i / 10 for i in range(11))
"""The uniform ratios every run scores first: base (0), nine points between, aligned (1)."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prompts(_Model):
    """The reward prompts: a JSON-lines file and the field that holds the prompt."""

    file: Path
    field: str = "prompt"


class Sampling(_Model):
    """How replies are sampled. Every trial uses the same seed for the same prompt."""

    max_tokens: int = Field(64, ge=1)
    temperature: float = Field(1.0, ge=0)
    n: int = Field(1, ge=1, description="replies per prompt")


class Reward(_Model):
    """The reward: the mean of a Python function over sampled replies to the prompts.

    `scorer` is `file.py:function`, the function being
    `score(rows: list[dict], replies: list[str]) -> list[float]`, one row of the prompt file per reply.
    """

    prompts: Prompts
    scorer: str = Field(pattern=r"^.+\.py:[A-Za-z_]\w*$")
    sampling: Sampling = Sampling()


class _Probe(_Model):
    name: str = Field(pattern=r"^[A-Za-z0-9_\-]+$")
    family: str = Field(min_length=1)
    file: Path


class ChoiceProbe(_Probe):
    """The choice with the highest log-likelihood given the prompt.

    Rows: `prompt`, `choices` (list of strings), `gold` (index). The engine is shown the prompt, `delimiter`, and the
    choice. `acc` compares sums of log-probabilities, `acc_norm` divides each by the length of the choice in
    characters, both as lm-evaluation-harness defines them.
    """

    kind: Literal["choice"]
    metric: Literal["acc", "acc_norm"] = "acc"
    delimiter: str = " "


class ExactProbe(_Probe):
    """Greedy generation, stripped, equal to the answer. Rows: `prompt`, `answer`."""

    kind: Literal["exact"]
    max_tokens: int = Field(64, ge=1)
    stop: tuple[str, ...] = ()


Probe = Annotated[ChoiceProbe | ExactProbe, Field(discriminator="kind")]


class Engine(_Model):
    """The vLLM engine of a trial, and what a trial takes from the node it runs on."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    enforce_eager: bool | None = Field(None, description="default: true without a GPU, where compiling costs a minute")
    kv_cache_gib: float = Field(
        1, gt=0, description="GiB of KV cache per engine on a CPU; on a GPU vLLM takes what is left"
    )
    cpus: float = Field(1, gt=0, description="CPU cores per trial")
    gpus: int | None = Field(None, ge=0, description="GPUs per trial; default: one where there is one")


class RunConfig(_Model):
    """Everything a run needs. All paths are absolute once it was read by `load`."""

    base: str
    aligned: str
    space: str | dict[str, Any] = "per-layer"
    reward: Reward
    tax: tuple[Probe, ...] = Field(min_length=1)
    trials: int = Field(40, ge=len(BASELINE_RATIOS), description="all trials, the eleven uniform ones included")
    seed: int = Field(0, ge=0, lt=2**32)
    out: Path
    engine: Engine = Engine()

    @field_validator("tax")
    @classmethod
    def _names_are_unique(cls, tax: tuple[Probe, ...]) -> tuple[Probe, ...]:
        names = [probe.name for probe in tax]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the probe name {twice[0]!r} is used twice; give each probe a name of its own")
        return tax

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
        fields = _anchored(fields, path.resolve().parent) | _anchored(overrides, Path.cwd())
        return cls.parse(fields, str(path))

    @classmethod
    def parse(cls, fields: dict[str, Any], source: str) -> RunConfig:
        """Validates fields, with errors as one sentence that names `source` and the field.

        Raises:
            UserError: A field is missing, unknown or wrong.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"] if part not in ("choice", "exact"))
            more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
            raise UserError(f"{source}: {where}: {first['msg']}{more}.") from None

    @classmethod
    def from_arguments(cls, **fields: Any) -> RunConfig:
        """Validates keyword arguments; relative paths are relative to the working folder.

        Raises:
            UserError: A field is missing, unknown or wrong.
        """
        return cls.parse(_anchored(fields, Path.cwd()), "search()")

    def to_yaml(self) -> str:
        """The run file as resolved: every default filled in, every path absolute."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)


def _anchored(fields: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes the relative paths in run-file fields absolute, leaving hub ids and names of search spaces alone."""

    def path(value: Any) -> Any:
        return str(folder / Path(value).expanduser()) if isinstance(value, str | Path) else value

    def path_if_there(value: Any) -> Any:
        looks_like_path = isinstance(value, str) and (value.startswith((".", "/", "~")) or (folder / value).exists())
        return path(value) if looks_like_path or isinstance(value, Path) else value

    def inside(value: Any, key: str, change: Callable[[Any], Any]) -> Any:
        return value | {key: change(value[key])} if isinstance(value, dict) and key in value else value

    anchored: dict[str, Any] = dict(fields)
    for key in ("base", "aligned"):
        anchored = inside(anchored, key, path_if_there)
    anchored = inside(anchored, "out", path)
    if str(anchored.get("space", "")).endswith((".yaml", ".yml")):
        anchored = inside(anchored, "space", path)
    anchored = inside(anchored, "reward", lambda reward: inside(reward, "scorer", path))
    anchored = inside(anchored, "reward", lambda r: inside(r, "prompts", lambda p: inside(p, "file", path)))
    if isinstance(anchored.get("tax"), list | tuple):
        anchored["tax"] = [inside(probe, "file", path) for probe in anchored["tax"]]
    return anchored
