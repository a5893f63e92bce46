"""The aligned models of a run file: one, or several that are mixed."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, ValidationInfo

from ama_ray.config.fields import Called, CheckpointSource, Model, anchored, id_and_revision, is_hub_id
from ama_ray.config.mistakes import mistakes
from ama_ray.config.report import firsts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Mix = Literal["simplex", "free"]
_NUMBER = re.compile(r"\d+")
_OF_A_POINT = re.compile(r"knee|base|aligned|best|twin|(trial-|uniform-?|soup-?)?[\d.]*", re.IGNORECASE)
"""Names by which commands, servers and reports know points of a run."""


class AlignedModel(Model):
    """One of several aligned models, which `aligned` lists; an entry may also be its path alone.

    `aligned: {steps: run/checkpoint-*}` lists the folders that a pattern names, by the last number in their names.

    A group then has a share of every aligned model, and what is left of 1 is base: base + the sum of share times
    (aligned - base). With `mix: simplex`, the default, shares are 0 or more with a sum of at most 1; with `mix: free`
    each is within its range.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+$"), Called("name of letters, digits, `_`, `-`, `.`")] = (
        Field("", description="in names of numbers, as `layer-3@math`; default: the last part of `path`")
    )
    path: CheckpointSource = Field(description="the checkpoint")
    revision: str | None = Field(None, description="branch, tag or commit, where `path` is a hub id")
    step: int | None = Field(None, ge=0, description="which step of one run it is, where all are; `steps` fills it in")

    @property
    def source(self) -> str:
        """Folder, or hub id with its revision."""
        return f"{self.path}@{self.revision}" if self.revision else self.path


class Steps(Model):
    """The steps of one training run, as several aligned models."""

    steps: str = Field(description="pattern of the folders, as run/checkpoint-*, by the last number in their names")


_LISTED: TypeAdapter[tuple[AlignedModel, ...]] = TypeAdapter(tuple[AlignedModel, ...])


def _as_models(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, dict) and value.keys() == {"steps"}:
        value = _steps(value["steps"], info)
    if not isinstance(value, list | tuple):
        return value
    try:
        return _LISTED.validate_python(
            [{"path": each} if isinstance(each, str | Path) else each for each in value], context=info.context
        )
    except ValidationError as error:
        # In a union, pydantic would say of each entry what it is not besides.
        raise ValueError("\n".join(map(str, mistakes(error, tuple[AlignedModel, ...], value)))) from None


def _steps(pattern: Any, info: ValidationInfo) -> list[dict[str, Any]]:
    """The folders that a pattern names, by the last number in their names."""
    if not isinstance(pattern, str):
        raise ValueError("steps: give a pattern such as run/checkpoint-*")
    whole = Path(anchored(pattern, info))
    found = [path for path in whole.parent.glob(whole.name) if path.is_dir() and _NUMBER.search(path.name)]
    if not found:
        raise ValueError(f"steps: no folder with a number in its name matches {whole}; check the pattern")
    steps = sorted((int(_NUMBER.findall(path.name)[-1]), path) for path in found)
    return [
        {"path": str(path), "step": step} | ({"name": f"step-{path.name}"} if path.name.isdecimal() else {})
        for step, path in steps
    ]


def _named(aligned: str | tuple[AlignedModel, ...]) -> str | tuple[AlignedModel, ...]:
    if isinstance(aligned, str):
        return aligned
    models = tuple(_with_name(model) for model in aligned)
    names, sources = [model.name for model in models], [model.source for model in models]
    if not models:
        raise ValueError("there is no aligned model; name one or several")
    if twice := next((source for source in sources if sources.count(source) > 1), None):
        raise ValueError(f"{twice} is named twice; name each aligned model once")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two aligned models are called {twice!r}; give each a `name` of its own")
    parts = {f"{name}-0.{tenth}" for name in names for tenth in range(1, 10)}  # on the way from base to one of them
    taken = next((name for name in names if _OF_A_POINT.fullmatch(name) or name in parts), None)
    if len(models) > 1 and taken:
        raise ValueError(
            f"an aligned model called {taken!r} could be taken for a point of a run; give it another `name`"
        )
    steps = [model.step for model in models if model.step is not None]
    if steps and (len(steps) < len(models) or steps != sorted(set(steps))):
        raise ValueError("either all aligned models have a `step`, and these rise, or none has; put them in order")
    return models if len(models) > 1 else models[0].source


def _with_name(model: AlignedModel) -> AlignedModel:
    if model.revision and (Path(model.path).is_absolute() or "@" in model.path or not is_hub_id(model.path)):
        raise ValueError(f"{model.path}: a `revision` goes with the id of a model on the hub; leave it out")
    if model.name:
        return model
    last = PurePath(id_and_revision(model.path)[0] if is_hub_id(model.path) else model.path).name
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", last):
        raise ValueError(f"{model.path}: give it a `name` of letters, digits, `_`, `-`, `.`")
    return model.model_copy(update={"name": last})


Aligned = Annotated[
    CheckpointSource | tuple[AlignedModel, ...],
    BeforeValidator(_as_models, json_schema_input_type=str | list[str | AlignedModel] | Steps),
    AfterValidator(_named),
    Called("folder or hub id, or list of them"),
]
"""One folder or hub id; or several, each with a name; or `{steps: pattern}`."""


def sources_of(aligned: str | tuple[AlignedModel, ...]) -> tuple[str, ...]:
    """Their folders or hub ids."""
    return (aligned,) if isinstance(aligned, str) else tuple(model.source for model in aligned)


def names_of(aligned: str | tuple[AlignedModel, ...]) -> tuple[str, ...]:
    """Their names, as numbers bear them: empty where there is one."""
    return ("",) if isinstance(aligned, str) else tuple(model.name for model in aligned)


def are_steps(aligned: str | tuple[AlignedModel, ...]) -> bool:
    """Whether they are steps of one run."""
    return not isinstance(aligned, str) and all(model.step is not None for model in aligned)


def misfits(models: int, given: Mapping[str, Any]) -> Iterator[str]:
    """What does not go with the number of aligned models in a run file, one sentence each.

    Args:
        models: The number; 1 where `delta` makes one of several.
        given: What the run file says of `aligned`, `delta`, `mix`, `mean_ratio`, `range`, `trials`, `warm_start` and
            `engine`.
    """
    if given["delta"]:
        yield from _misfits_of_delta(given)
    if models == 1:
        if given["mix"] and not (given["delta"] and given["delta"].joins):
            yield "mix: there is one aligned model, and nothing to mix; leave it out, or name several in `aligned`"
        return
    if given["trials"] < firsts(models):
        yield f"trials: base, {models} aligned models and half of their average are more than {given['trials']} trials"
    if given["engine"].url:
        yield "engine.url: servers hold one aligned model; leave it out, or name one in `aligned`"
    if given["mean_ratio"] is not None:
        yield "mean_ratio: it is for one aligned model; leave it out, or name one in `aligned`"
    if given["range"] is not None and given["mix"] != "free":
        yield "range: with mix: simplex, shares are 0 or more with a sum of at most 1; leave it out, or set mix: free"
    for name in ("parts", "distill"):
        if name in given["warm_start"]:
            yield f"warm_start: {name} is for one aligned model; leave it out, or name one in `aligned`"


def _misfits_of_delta(given: Mapping[str, Any]) -> Iterator[str]:
    joins = given["delta"].joins
    if joins and isinstance(given["aligned"], str):
        yield "delta: ties joins several aligned models, and there is one; name several in `aligned`, or set keep alone"
    elif joins and given["mix"]:
        yield "mix: delta: ties makes one of the aligned models, and nothing is left to mix; leave one of the two out"
    if given["engine"].url:
        yield "engine.url: servers hold aligned as it is stored; leave it out, or leave out delta"
    if "distill" in given["warm_start"]:
        yield "warm_start: distill is for aligned as it is stored; leave it out, or leave out delta"
