"""`SearchSpace`: which tensors share a ratio, and the range of each ratio. Imports no torch, ray or vllm.

A range may end beyond 1, at 2 at most. There weights are extrapolated past aligned, along the line from base, which can
raise the reward further (ExPO, arXiv 2404.16792); it starts at 0 or above.

One rule for what lies outside the layers, whatever the architecture: embeddings (of tokens, of positions, of tokens for
each layer) belong to the input side, everything else (final norm, output head) to the output side. Hence `{part}` gives
the input side to part 1 and the output side to the last part, and `{layer}` takes neither. The layer of a tensor is the
first number after `layers`, `h`, `blocks` or `block` in its name.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from ama_ray.config.fields import Range
from ama_ray.config.mistakes import mistakes
from ama_ray.config.yaml_file import YamlFile
from ama_ray.errors import UserError, did_you_mean
from ama_ray.space.groups import OF, Groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")
_INPUT = re.compile(r"embed|wte|wpe|project_in|per_layer_|altup_projections")
_OUTPUT = re.compile(r"embed_out|unembed|lm_head|(?:^|\.)embedding_norm\.")  # LFM2 calls its last norm so
_PLACEHOLDER = re.compile(r"\{.*?\}")
_YAML = (".yaml", ".yml")


def _folder() -> Path:
    """The shipped search spaces: inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "search_spaces", package.parent / "search_spaces") if path.is_dir())


def bundled() -> list[str]:
    """The names of the shipped search spaces."""
    return sorted(file.stem for file in _folder().glob("*.yaml"))


class GroupRule(BaseModel):
    """A rule: the group, or the groups, that it makes, and of which tensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        min_length=1, description="of its group; with {layer} a group per layer, with {part} one per part"
    )
    tensors: tuple[str, ...] = Field(
        ("*",), min_length=1, description="shell globs on names, any of which has to match"
    )
    side: Literal["input", "output"] | None = Field(None, description="only the tensors before or after the layers")
    parts: int | None = Field(
        None,
        ge=1,
        description="how many {part} stands for: consecutive layers, as even as possible, larger ones last, as the "
        "paper (arXiv 2309.06256) cuts 26 layers into 8, 9 and 9",
    )
    knots: int | None = Field(
        None,
        ge=2,
        description="how many numbers the ratios of its layers follow, instead of one each: knots spread evenly over "
        "depth, straight lines between them",
    )
    range: Range | None = Field(None, description="of its ratios, instead of the search space's")

    @model_validator(mode="after")
    def _placeholders_make_sense(self) -> GroupRule:
        if OF in self.name:
            raise ValueError(f"the name {self.name!r} may not hold {OF}, which stands between a group and a model")
        used = _PLACEHOLDER.findall(self.name)
        if used not in ([], ["{layer}"], ["{part}"]):
            raise ValueError(f"the name {self.name!r} may hold one {{layer}} or one {{part}}, and no other braces")
        if ("{part}" in used) != (self.parts is not None):
            raise ValueError(f"the name {self.name!r} and `parts` go together: a name with {{part}} needs parts: K")
        if self.side and used:
            raise ValueError(f"the name {self.name!r} has a placeholder, which stands for layers; drop `side`")
        if self.knots and used != ["{layer}"]:
            raise ValueError(f"the name {self.name!r} needs a {{layer}}: `knots` are for the ratios of layers")
        return self


class SearchSpace(BaseModel):
    """An ordered list of rules: the first one that matches a tensor takes it, and every tensor must be taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field("", description="when to use it")
    groups: tuple[GroupRule, ...] = Field(min_length=1, description="the rules")
    range: Range = Field((0.0, 1.0), description="lowest and highest ratio: 0 is base, 1 is aligned")
    _source: str = PrivateAttr("space")
    _is_bundled: bool = PrivateAttr(default=False)

    @field_validator("groups")
    @classmethod
    def _names_are_unique(cls, groups: tuple[GroupRule, ...]) -> tuple[GroupRule, ...]:
        names = [rule.name for rule in groups]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {twice[0]!r} is used twice; give each rule a name of its own")
        return groups

    @classmethod
    def load(cls, space: str | dict[str, Any], range: tuple[float, float] | None = None) -> SearchSpace:
        """Reads a search space.

        Args:
            space: The name of a shipped search space, the path of a YAML file (`.yaml` or `.yml`), or the fields.
            range: Takes the place of the search space's own; a rule that has a range of its own keeps it.

        Raises:
            UserError: There is no such search space, or a field of it is wrong.
        """
        source = space if isinstance(space, str) else "space"
        fields = _read(space) if isinstance(space, str) else space
        if not isinstance(fields, dict):
            raise UserError(f"{source}: a search space is a mapping with the field groups, a list of rules.")
        try:
            loaded = cls.model_validate(fields if range is None else fields | {"range": range})
        except ValidationError as error:
            raise UserError.of(source, list(map(str, mistakes(error, cls, fields)))) from None
        loaded._source = source
        loaded._is_bundled = isinstance(space, str) and not space.endswith(_YAML)
        return loaded

    @property
    def has_ranges(self) -> bool:
        """Whether a ratio has another range than from base to aligned."""
        return any((rule.range or self.range) != (0.0, 1.0) for rule in self.groups)

    def resolve(self, tensors: Sequence[str]) -> Groups:
        """Puts every tensor of a model into its group.

        Args:
            tensors: Names of the tensors that are averaged; tied tensors under one name.

        Raises:
            UserError: A tensor is left over, a rule matches nothing (a bundled one may, as it is for all families), or
                the model has too few layers.
        """
        layer_of = {tensor: int(m[1]) if (m := _LAYER.search(tensor)) else None for tensor in tensors}
        layers = sorted({layer for layer in layer_of.values() if layer is not None})
        if not layers:
            raise UserError(f"{self._source}: no layers found among {_listed(tensors)}; is this a transformer?")
        last = layers[-1] + 1
        depth = {t: layer if layer is not None else -1 if _is_input(t) else last for t, layer in layer_of.items()}
        part_of = {rule.name: self._parts(rule, layers) for rule in self.groups}

        rule_of: dict[str, GroupRule] = {}
        taken: dict[str, list[str]] = {}
        for tensor in tensors:
            for rule in self.groups:
                if not _matches(rule, tensor, depth[tensor], last):
                    continue
                group = rule.name.replace("{layer}", str(depth[tensor]))
                group = group.replace("{part}", str(part_of[rule.name].get(depth[tensor])))
                if rule_of.setdefault(group, rule).name != rule.name:
                    raise UserError(f"{self._source}: two rules make a group named {group!r}; rename one of them.")
                taken.setdefault(group, []).append(tensor)
                break
        self._nothing_is_left(tensors, taken, rule_of)
        order = {rule.name: number for number, rule in enumerate(self.groups)}
        names = sorted(taken, key=lambda group: (min(depth[t] for t in taken[group]), order[rule_of[group].name]))
        return Groups(
            names=tuple(names),
            of={tensor: group for group in names for tensor in taken[group]},
            ranges={group: rule_of[group].range or self.range for group in names},
            knots=self._knots(names, rule_of),
        )

    def _knots(self, names: Sequence[str], rule_of: Mapping[str, GroupRule]) -> dict[str, dict[str, float]]:
        """The knots of every group of a rule that has some, with their weights: hat functions over depth."""
        found: dict[str, dict[str, float]] = {}
        for rule in self.groups:
            layers = [group for group in names if rule_of[group].name == rule.name]
            if not rule.knots or not layers:
                continue
            if rule.knots > len(layers):
                raise UserError(
                    f"{self._source}: the rule {rule.name!r} wants {rule.knots} knots and makes {len(layers)} groups; "
                    f"ask for {len(layers)} knots at most."
                )
            for position, group in enumerate(layers):
                before, beyond = divmod(position * (rule.knots - 1), len(layers) - 1)
                share = beyond / (len(layers) - 1)
                hats = {before: 1 - share, before + 1: share}
                found[group] = {rule.name.replace("{layer}", f"@{knot}"): hat for knot, hat in hats.items() if hat}
        return found

    def _parts(self, rule: GroupRule, layers: list[int]) -> dict[int, int]:
        """Part number, from 1, of every depth: of the layers, and of both sides."""
        if rule.parts is None:
            return {}
        if rule.parts > len(layers):
            raise UserError(
                f"{self._source}: the rule {rule.name!r} wants {rule.parts} parts and the model has {len(layers)} "
                f"layers; ask for {len(layers)} parts at most."
            )
        size, larger = divmod(len(layers), rule.parts)
        starts = [part * size + max(0, part - (rule.parts - larger)) for part in range(rule.parts + 1)]
        parts = {
            layer: part for part, (start, end) in enumerate(pairwise(starts), start=1) for layer in layers[start:end]
        }
        return parts | {-1: 1, layers[-1] + 1: rule.parts}

    def _nothing_is_left(
        self, tensors: Sequence[str], taken: Mapping[str, list[str]], rule_of: Mapping[str, GroupRule]
    ) -> None:
        grouped = {tensor for members in taken.values() for tensor in members}
        if left := [tensor for tensor in tensors if tensor not in grouped]:
            raise UserError(f"{self._source}: no rule takes {_listed(left)}; add a rule, the last one may be '*'.")
        used = {rule.name for rule in rule_of.values()}
        if not self._is_bundled and (idle := [rule.name for rule in self.groups if rule.name not in used]):
            raise UserError(
                f"{self._source}: the rule {idle[0]!r} takes no tensor, as none matches or earlier rules took them; "
                "remove it or change its globs."
            )


def _read(space: str) -> Any:
    try:
        file = YamlFile.read(Path(space).expanduser() if space.endswith(_YAML) else _folder() / f"{space}.yaml")
    except FileNotFoundError:
        shipped = bundled()
        known = f"name a YAML file or one of {', '.join(shipped)}{did_you_mean(space, shipped)}"
        raise UserError.of(space, [f"there is no such search space; {known}"]) from None
    except OSError as error:
        raise UserError(f"{space}: cannot be read ({error.strerror}).") from None
    except RuntimeError as error:  # nobody has this home folder
        raise UserError(f"{space}: cannot be read ({error}).") from None
    if file.twice:
        again = [f"line {line}, {place[-1]}: this field stands there already" for place, line in file.twice]
        raise UserError.of(space, again)
    return file.value


def _is_input(tensor: str) -> bool:
    return bool(_INPUT.search(tensor)) and not _OUTPUT.search(tensor)


def _matches(rule: GroupRule, tensor: str, depth: int, last: int) -> bool:
    inside = 0 <= depth < last
    if ("{layer}" in rule.name and not inside) or (rule.side and depth != (-1 if rule.side == "input" else last)):
        return False
    return any(fnmatchcase(tensor, glob) for glob in rule.tensors)


def _listed(tensors: Sequence[str]) -> str:
    more = f" and {len(tensors) - 3} more ({len(tensors)} in all)" if len(tensors) > 3 else ""
    return (", ".join(tensors[:3]) or "no tensors") + more
