"""The probes of a run file: benchmarks whose scores make up the tax."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from ama_ray.config.data import Source
from ama_ray.config.fields import File, Model, Name


class FewShot(Model):
    """Solved examples in front of every item: the same ones, drawn once; none of them is ever an item."""

    n: int = Field(ge=1, description="how many")
    file: File | None = Field(None, description="rows like the probe's; a preset knows its own")


class _Named(Model):
    """What a probe has besides its `kind` or its `task`; a `preset` has both of its own."""

    name: Name = Field(description="of the probe; also of its columns in `trials.csv`")
    family: str = Field(min_length=1, description="probes of one family share one weight in the tax")


class Asked(Model):
    """How a prompt is put to the model: after examples, or through the model's chat template."""

    chat: bool = Field(False, description="apply the pair's chat template")
    few_shot: FewShot | None = Field(None, description="solved examples in front of every item; default: none")


class _Generated(Model):
    """Greedy replies."""

    max_tokens: int = Field(64, ge=1, description="most tokens of a reply")
    stop: tuple[str, ...] = Field((), description="texts that end a reply")
    delimiter: str = Field(" ", description="between the prompt and the answer of a solved example")


class Choice(Model):
    """The choice with the highest log-likelihood given the prompt.

    Rows: `prompt`, `choices` (list of strings), `gold` (index); or `prompts` (one per choice), `continuation` and
    `gold`, for choices that stand in the prompt. The engine is shown the prompt, `delimiter`, and the choice; with
    `chat`, the choice begins the model's turn and has no delimiter in front. `acc` compares sums of log-probabilities,
    `acc_norm` divides each by the length of the choice in characters, both as lm-evaluation-harness defines them.
    """

    kind: Literal["choice"] = "choice"
    metric: Literal["acc", "acc_norm"] = Field("acc", description="what choices are compared by")
    delimiter: str = Field(" ", description="between prompt and choice")


class Letter(Model):
    """The likeliest letter after a prompt that lists lettered choices (A, B, ...).

    Rows: `prompt`, shown as it is; `choices`, of which only the number matters; `gold` (index or letter). Where
    every letter is one token, an item costs one generated token. `delimiter` as for `choice`.
    """

    kind: Literal["letter"] = "letter"
    delimiter: str = Field(" ", description="between prompt and letter")


class Calibration(Model):
    """Expected calibration error (0-1, lower is better) over choices, in bins of equal width.

    Rows as for `choice`, and the same requests: beside a `choice` probe on the same file it costs nothing. The
    confidence is the softmax, over the choices, of what `metric` compares.
    """

    kind: Literal["calibration"] = "calibration"
    metric: Literal["acc", "acc_norm"] = Field("acc", description="what choices are compared by")
    delimiter: str = Field(" ", description="between prompt and choice")
    bins: int = Field(10, ge=2, description="of confidence")


class Exact(_Generated):
    """Greedy generation equal to an answer. Rows: `prompt`, `answer` (a string, or a list of right ones).

    `strip` compares without surrounding white space; `squad` also without case, punctuation and articles.
    """

    kind: Literal["exact"] = "exact"
    normalize: Literal["strip", "squad"] = Field("strip", description="what is left out of the comparison")


class F1(_Generated):
    """Words shared by a greedy generation and the best fitting answer, as F1. Rows as for `exact`.

    `squad` and `drop` normalise and compare as the scripts of those two benchmarks do. In the list of right answers
    of `drop`, an answer of several spans is a list of its own.
    """

    kind: Literal["f1"] = "f1"
    normalize: Literal["squad", "drop"] = Field("squad", description="whose rules")


class Number(_Generated):
    """The last number of a greedy generation equals that of an answer, as in GSM8K. Rows as for `exact`.

    In a text with `####`, the first number after it counts.
    """

    kind: Literal["number"] = "number"


class Bleu(_Generated):
    """Corpus BLEU of greedy generations as sacrebleu computes it, here from 0 to 1. Rows as for `exact`."""

    kind: Literal["bleu"] = "bleu"


class Chrf(_Generated):
    """Corpus chrF of greedy generations as sacrebleu computes it, here from 0 to 1. Rows as for `exact`."""

    kind: Literal["chrf"] = "chrf"


class Perplexity(Model):
    """Perplexity per token on plain text; lower is better. Rows: `text`.

    A text that is longer than the model's context is scored in windows, as lm-evaluation-harness does.
    """

    kind: Literal["perplexity"] = "perplexity"


class BitsPerByte(Model):
    """Bits per UTF-8 byte of plain text; lower is better. Rows as for `perplexity`, and the same requests."""

    kind: Literal["bits-per-byte"] = "bits-per-byte"


class Kl(Model):
    """Mean Kullback-Leibler divergence of the model from base, KL(model || base), in nats per token. Rows: `text`.

    Lower is better; base has 0. At `positions` evenly spaced places of every text the next-token distributions of both
    are compared as far as their likeliest tokens tell: the result is a lower bound, exact where these are the whole
    vocabulary.
    """

    kind: Literal["kl"] = "kl"
    positions: int = Field(8, ge=1, description="places of a text")


Kind = Choice | Letter | Calibration | Exact | F1 | Number | Bleu | Chrf | Perplexity | BitsPerByte | Kl
"""What a probe asks and how it scores, apart from where its items come from."""


class ChoiceProbe(Choice, Asked, Source, _Named):
    """A `choice` probe on a file."""


class LetterProbe(Letter, Asked, Source, _Named):
    """A `letter` probe on a file."""


class CalibrationProbe(Calibration, Asked, Source, _Named):
    """A `calibration` probe on a file."""


class ExactProbe(Exact, Asked, Source, _Named):
    """An `exact` probe on a file."""


class F1Probe(F1, Asked, Source, _Named):
    """An `f1` probe on a file."""


class NumberProbe(Number, Asked, Source, _Named):
    """A `number` probe on a file."""


class BleuProbe(Bleu, Asked, Source, _Named):
    """A `bleu` probe on a file."""


class ChrfProbe(Chrf, Asked, Source, _Named):
    """A `chrf` probe on a file."""


class PerplexityProbe(Perplexity, Source, _Named):
    """A `perplexity` probe on a file."""


class BitsPerByteProbe(BitsPerByte, Source, _Named):
    """A `bits-per-byte` probe on a file."""


class KlProbe(Kl, Source, _Named):
    """A `kl` probe on a file."""


class PresetProbe(Asked):
    """A known benchmark by name: its prompts, its metric and its hub dataset, or a local copy in its own format.

    Without `file`, the dataset comes from the hub. `name` and `family` default to the preset's.
    """

    preset: str = Field(description="its name")
    name: Name | None = Field(None, description="instead of the preset's")
    family: str | None = Field(None, description="instead of the preset's")
    file: File | None = Field(None, description="a local copy; default: the dataset on the hub")
    report_file: File | None = Field(None, description="a local copy of what becomes the report split")
    items: int | None = Field(None, ge=1, description="at most so many of each split, drawn by a hash of the item")


class TaskProbe(_Named):
    """A task of lm-evaluation-harness by name (`pip install ama_ray[lm-eval]`), or of the user's own task YAML."""

    task: str = Field(description="its name")
    include: File | None = Field(None, description="a folder with the user's task files")
    metric: str | None = Field(None, description="one of the task's metrics; default: its first")
    few_shot: int | None = Field(None, ge=0, description="default: the task's own")
    chat: bool = Field(False, description="apply the pair's chat template")
    items: int | None = Field(None, ge=1, description="at most so many of each split, drawn by a hash of the item")


def _tag(value: Any) -> str | None:
    fields = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return next((tag for tag in ("preset", "task") if tag in fields), fields.get("kind"))


_AskedProbe = ChoiceProbe | LetterProbe | CalibrationProbe | ExactProbe | F1Probe | NumberProbe | BleuProbe | ChrfProbe
FileProbe = _AskedProbe | PerplexityProbe | BitsPerByteProbe | KlProbe
Probe = Annotated[
    Annotated[ChoiceProbe, Tag("choice")]
    | Annotated[LetterProbe, Tag("letter")]
    | Annotated[CalibrationProbe, Tag("calibration")]
    | Annotated[ExactProbe, Tag("exact")]
    | Annotated[F1Probe, Tag("f1")]
    | Annotated[NumberProbe, Tag("number")]
    | Annotated[BleuProbe, Tag("bleu")]
    | Annotated[ChrfProbe, Tag("chrf")]
    | Annotated[PerplexityProbe, Tag("perplexity")]
    | Annotated[BitsPerByteProbe, Tag("bits-per-byte")]
    | Annotated[KlProbe, Tag("kl")]
    | Annotated[PresetProbe, Tag("preset")]
    | Annotated[TaskProbe, Tag("task")],
    Discriminator(
        _tag,
        custom_error_type="probe_kind",
        custom_error_message="a probe needs a kind (choice, letter, calibration, exact, f1, number, bleu, chrf, "
        "perplexity, bits-per-byte, kl), a preset, or a task",
    ),
]
