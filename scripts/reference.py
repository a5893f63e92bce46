"""Makes docs/run-file.md again, from the models of a run file: `python -m scripts.reference`."""

from __future__ import annotations

import inspect
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ama_ray.config import (
    aligned,
    command,
    data,
    delta,
    distill,
    engine,
    fields,
    probes,
    report,
    rewards,
    run,
    sampling,
    search,
)
from ama_ray.config.kinds import Kinds
from ama_ray.config.wording import named
from ama_ray.probes.base import ProbeKind
from ama_ray.probes.generated import GeneratedKind
from ama_ray.space import search_space

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = Path(__file__).parents[1] / "docs" / "run-file.md"
HEAD = """\
# The run file

Every field of a run file, made from the models that read it by `python -m scripts.reference`. Unknown fields are
refused. Relative paths are relative to the run file. Where a default is empty, there is none, or the fields have their
own. Examples: [objectives.md](objectives.md), [search.md](search.md).
"""
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("All fields", run.RunConfig),
    ("Several models: `aligned`", aligned.AlignedModel),
    ("Operators on differences: `delta`", delta.Delta),
    ("Search spaces: `space`", search_space.SearchSpace),
    ("`groups`", search_space.GroupRule),
    ("Rewards: `reward`", rewards.RewardSettings),
    ("Rewards of replies", rewards.RepliesReward),
    ("`prompts`", rewards.Prompts),
    ("`sampling`", sampling.Sampling),
    ("`sampling` of probes", sampling.Drawing),
    ("How prompts are put", sampling.Chat),
    *((f"`kind: {name}`", reward) for name, reward in rewards.REWARDS.settings.items()),
    ("`judge`", rewards.Judge),
    ("Probes: `tax`", probes.NamedProbe),
    ("Probes with a file", data.Source),
    ("Datasets", data.HubDataset),
    ("Probes that ask", probes.Prompted),
    ("`few_shot`", probes.FewShot),
    ("Probes that generate", GeneratedKind),
    # The class that a run file names is that of the kind and what all probes on files have.
    *(
        (f"`kind: {name}`", probe.__bases__[0] if issubclass(probe, ProbeKind) else probe)
        for name, probe in probes.PROBES.settings.items()
    ),
    ("`preset`", probes.PresetProbe),
    ("`task`", probes.TaskProbe),
    ("Commands", command.Command),
    ("The report: `report`", report.Report),
    ("When to stop: `stop`", search.Stop),
    ("What a run may spend: `budget`", search.Budget),
    ("What replies cost: `tokens`", search.TokenCost),
    ("Proxy distillation: `distill`", distill.Distill),
    ("Engines: `engine`", engine.EngineSettings),
)
"""In the order of the page. What a model inherits from one that has a section is not said again in its own."""
SHARED = (
    *(rewards.RewardSettings, probes.NamedProbe, data.Source, sampling.Chat, sampling.Drawing, probes.Prompted),
    *(GeneratedKind, rewards.RepliesReward, command.Command),
)
LINKS = {model: title for title, model in SECTIONS}


def described() -> list[type[BaseModel]]:
    """The models that have a section."""
    return [model for _, model in SECTIONS]


def page() -> str:
    """The text of docs/run-file.md."""
    return "\n".join([HEAD, *(_section(title, model) for title, model in SECTIONS)])


def _section(title: str, model: type[BaseModel]) -> str:
    level = "##" if title[0] != "`" else "###"
    parts = [f"{level} {title}", _prose(model)]
    inherited = {name for other in SHARED if other in model.__mro__[1:] for name in other.model_fields}
    rows = [
        f"| `{name}` | {_cell(_type(field))} | {_cell(_default(field))} | {_cell(field.description or '')} |"
        for name, field in model.model_fields.items()
        if name not in inherited and not _is_tag(field)
    ]
    if rows:
        parts.append("\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _prose(model: type[BaseModel]) -> str:
    """The docstring, a paragraph a line, and which of the shared fields there are besides."""
    text = inspect.cleandoc(model.__doc__ or "")
    also = [f"[{LINKS[other]}]({_anchor(other)})" for other in SHARED if other in _kind(model).__mro__[1:]]
    also = [link for link in also if model not in SHARED and not link.startswith("[Rewards")]
    paragraphs = [*text.split("\n\n"), *([f"Also the fields of: {', '.join(also)}."] if also else [])]
    return "\n\n".join(textwrap.fill(" ".join(part.split()), 120, break_long_words=False) for part in paragraphs)


def _kind(model: type[BaseModel]) -> type[BaseModel]:
    """The class whose fields a run file has where it names this kind of probe."""
    return next((probe for probe in probes.PROBES.settings.values() if model in probe.__mro__[1:]), model)


def _is_tag(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def _type(field: FieldInfo) -> str:
    if field.annotation == fields.Space.__origin__:  # type: ignore[attr-defined]
        return f"bundled name, path or [fields]({_anchor(search_space.SearchSpace)})"
    return named(field.annotation, tuple(field.metadata), _link)


def _link(model: Any) -> str:
    """To the section of a model, or of what all entries of several kinds share."""
    if not isinstance(model, Kinds):
        return f"[fields]({_anchor(model)})"
    if model is probes.PROBES:
        return f"[probe]({_anchor(probes.NamedProbe)})"
    return f"[reward]({_anchor(rewards.RewardSettings)})"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value is None or isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(value)}`"


def _anchor(model: type[BaseModel]) -> str:
    """The address of a section, as GitHub makes it from the title."""
    return "#" + "".join(c for c in LINKS[model].lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
