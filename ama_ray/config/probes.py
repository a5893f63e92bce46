"""The probes of a run file: benchmarks whose scores make up the tax. The kinds themselves are in `ama_ray.probes`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PlainValidator, SerializeAsAny

from ama_ray.config.command import Command
from ama_ray.config.data import Source
from ama_ray.config.fields import File, Model, Name
from ama_ray.config.kinds import Kinds
from ama_ray.config.sampling import Chat, Drawn


class FewShot(Model):
    """Solved examples in front of every item: the same ones, drawn once; none of them is ever an item."""

    n: int = Field(ge=1, description="how many")
    file: File | None = Field(None, description="rows like the probe's; a preset knows its own")


class NamedProbe(Model):
    """What a probe has besides its `kind` or its `task`; a `preset` has both of its own."""

    name: Name = Field(description="of the probe; also of its columns in `trials.csv`")
    family: str = Field(min_length=1, description="probes of one family share one weight in the tax")


class Prompted(Chat):
    """How a prompt is put to the model: after examples, or through the model's chat template."""

    few_shot: FewShot | None = Field(None, description="solved examples in front of every item; default: none")


class FileProbe(Source, NamedProbe):
    """A probe of one of the kinds, with its items in a file."""


class PresetProbe(Prompted):
    """A known benchmark by name: its prompts, its metric and its hub dataset, or a local copy in its own format.

    Without `file`, the dataset comes from the hub. `name` and `family` default to the preset's.
    """

    preset: str = Field(description="its name")
    name: Name | None = Field(None, description="instead of the preset's")
    family: str | None = Field(None, description="instead of the preset's")
    file: File | None = Field(None, description="a local copy; default: the dataset on the hub")
    report_file: File | None = Field(None, description="a local copy of what becomes the report split")
    items: int | None = Field(None, ge=1, description="at most so many of each split, drawn by a hash of the item")
    max_tokens: int | None = Field(None, ge=1, description="most tokens of a reply, instead of the preset's")
    sampling: Drawn | None = Field(
        None, description="how replies are drawn, as in [probes that generate](#probes-that-generate)"
    )
    metric: str | None = Field(None, description="instead of the preset's")

    @property
    def changes(self) -> dict[str, Any]:
        """The fields of the preset's kind that are changed, with their values."""
        changed = {name: getattr(self, name) for name in ("max_tokens", "sampling", "metric")}
        return {name: value for name, value in changed.items() if value is not None}


class TaskProbe(NamedProbe, Chat):
    """A task of lm-evaluation-harness by name (`pip install ama_ray[lm-eval]`), or of the user's own task YAML."""

    task: str = Field(description="its name")
    include: File | None = Field(None, description="a folder with the user's task files")
    metric: str | None = Field(None, description="one of the task's metrics; default: its first")
    few_shot: int | None = Field(None, ge=0, description="default: the task's own")
    items: int | None = Field(None, ge=1, description="at most so many of each split, drawn by a hash of the item")


class CommandProbe(NamedProbe, Command):
    """The mean of the scores that a command of yours gives, each from 0 to 1."""

    kind: Literal["command"] = "command"


def _tag(value: Any) -> str | None:
    fields = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return next((tag for tag in ("preset", "task") if tag in fields), fields.get("kind"))


_KINDS = {
    "choice": "ama_ray.probes.choice:ChoiceProbe",
    "letter": "ama_ray.probes.letter:LetterProbe",
    "calibration": "ama_ray.probes.calibration:CalibrationProbe",
    "exact": "ama_ray.probes.exact:ExactProbe",
    "f1": "ama_ray.probes.f1:F1Probe",
    "number": "ama_ray.probes.number:NumberProbe",
    "function": "ama_ray.probes.function:FunctionProbe",
    "math": "ama_ray.probes.verified:MathProbe",
    "code": "ama_ray.probes.verified:CodeProbe",
    "regex": "ama_ray.probes.verified:RegexProbe",
    "json": "ama_ray.probes.verified:JsonProbe",
    "bleu": "ama_ray.probes.translation:BleuProbe",
    "chrf": "ama_ray.probes.translation:ChrfProbe",
    "perplexity": "ama_ray.probes.perplexity:PerplexityProbe",
    "bits-per-byte": "ama_ray.probes.perplexity:BitsPerByteProbe",
    "kl": "ama_ray.probes.kl:KlProbe",
    "command": "ama_ray.config.probes:CommandProbe",
}

PROBES = Kinds(
    _KINDS,
    Discriminator(_tag),
    {"preset": PresetProbe, "task": TaskProbe},
)
"""The kinds of probes: a new one is a line in `_KINDS`, and a file in `ama_ray/probes/`."""

Probe = Annotated[SerializeAsAny[FileProbe | PresetProbe | TaskProbe | CommandProbe], PlainValidator(PROBES.validate)]
