"""The kinds of probes by their names in a run file, and preparing a probe of any kind."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ama_ray.config.probes import (
    F1,
    Asked,
    BitsPerByte,
    Bleu,
    Calibration,
    Choice,
    Chrf,
    Exact,
    Kl,
    Letter,
    Number,
    Perplexity,
    PresetProbe,
    TaskProbe,
)
from ama_ray.data import splits
from ama_ray.data.prompting import Prompting
from ama_ray.data.rows import read_jsonl
from ama_ray.engine.requests import check_length
from ama_ray.errors import UserError
from ama_ray.probes import choice, few_shot, generated, letter
from ama_ray.probes.calibration import CalibrationItems
from ama_ray.probes.choice import ChoiceItems
from ama_ray.probes.generated import GeneratedItems
from ama_ray.probes.kl import KlItems
from ama_ray.probes.letter import LetterItems
from ama_ray.probes.perplexity import TextItems
from ama_ray.probes.translation import TranslationItems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import FileProbe, Probe
    from ama_ray.config.probes import Kind
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.data.rows import Row
    from ama_ray.data.splits import Splits
    from ama_ray.probes.base import PreparedProbe


def prepare(probe: Probe, tokenizer: Tokenizer, share: float, context_limit: int | None) -> dict[str, PreparedProbe]:
    """Reads, checks and tokenises a probe; done once per run.

    Args:
        probe: Of the run file.
        tokenizer: Of the pair.
        share: Of the items that go to the report split, where one file has both (0-1).
        context_limit: Most tokens the model takes, or None where its configuration does not say; plain text that is
            longer is divided.

    Returns:
        The probe on the `search` split and on the `report` split, and the search split once more in parts (`part-0`,
        ...) where it has items enough. A task of lm-evaluation-harness is whole in the first part.

    Raises:
        UserError: Its file is missing, empty or malformed; names file, line and field.
    """
    if isinstance(probe, TaskProbe):
        from ama_ray.probes.lm_eval import loading

        search, report = loading.load(probe, tokenizer, share, context_limit)
        return {"search": search, "report": report, "part-0": search}
    kind, halves, pool = _load(probe, share)
    name, _ = name_and_family(probe)
    prompting = Prompting(tokenizer)
    if isinstance(probe, Asked):
        examples = ""
        if probe.few_shot and pool:
            examples = few_shot.examples(name, probe.few_shot.n, pool, halves, partial(_solved, kind))
        prompting = Prompting(tokenizer, probe.chat, examples)
    rows = splits.shuffled(halves.search)
    split = {"search": rows, "report": halves.report}
    split |= {f"part-{number}": rows[part] for number, part in enumerate(splits.parts(rows))}
    prepared = {part: _build(name, kind, rows, prompting, context_limit) for part, rows in split.items()}
    longest = max(request.length for each in prepared.values() for request in each.requests)
    if context_limit is not None and longest > context_limit:
        # Only now one by one, to tell whose request it is.
        for row in (*halves.search, *halves.report):
            for request in _build(name, kind, [row], prompting, context_limit).requests:
                check_length(request, context_limit, row.where)
    return prepared


def metric(probe: Probe) -> str:
    """The name of a probe's metric in `ama_ray.scores.metrics.METRICS`.

    Raises:
        UserError: There is no such preset or task, or the task has no such metric.
    """
    if isinstance(probe, TaskProbe):
        from ama_ray.probes.lm_eval import loading

        return loading.metric(probe)
    if isinstance(probe, PresetProbe):
        from ama_ray.probes.presets import registry as presets

        kind = presets.kind(probe).kind
    else:
        kind = probe.kind
    return "mean" if kind in ("choice", "letter", "exact", "f1", "number") else kind


def name_and_family(probe: Probe) -> tuple[str, str]:
    """What a probe is called and which family it belongs to.

    Raises:
        UserError: There is no such preset.
    """
    if isinstance(probe, PresetProbe):
        from ama_ray.probes.presets import registry as presets

        return presets.name_and_family(probe)
    return probe.name, probe.family


def uses_test_split(probe: Probe) -> bool:
    """Whether the search items of a probe are, by their names, from a benchmark's test split.

    Raises:
        UserError: There is no such preset or task.
    """
    if isinstance(probe, TaskProbe):
        from ama_ray.probes.lm_eval import loading

        return loading.uses_test_split(probe)
    if isinstance(probe, PresetProbe):
        from ama_ray.probes.presets import registry as presets

        return presets.uses_test_split(probe)
    return splits.is_test_split(probe.file.name)


def _load(probe: FileProbe | PresetProbe, share: float) -> tuple[Kind, Splits, Sequence[Row]]:
    """The kind of a probe, its items, and solved ones to draw examples from."""
    if isinstance(probe, PresetProbe):
        from ama_ray.probes.presets import registry as presets

        loaded = presets.load(probe, share)
        return loaded.kind, loaded.halves, loaded.examples
    halves = splits.load(probe, share)
    if not isinstance(probe, Asked) or probe.few_shot is None:
        return probe, halves, ()
    if probe.few_shot.file is None:
        raise UserError(
            f"{probe.name}: few_shot.file is missing; name a file of solved examples, in the probe's format."
        )
    return probe, halves, read_jsonl(probe.few_shot.file)


def _build(
    name: str, kind: Kind, rows: Sequence[Row], prompting: Prompting, context_limit: int | None
) -> PreparedProbe:
    items: PreparedProbe
    match kind:
        case Choice():
            items = ChoiceItems.build(name, kind, rows, prompting)
        case Letter():
            items = LetterItems.build(name, kind, rows, prompting)
        case Calibration():
            items = CalibrationItems.build(name, kind, rows, prompting)
        case Exact() | F1() | Number():
            items = GeneratedItems.build(name, kind, rows, prompting)
        case Bleu() | Chrf():
            items = TranslationItems.build(name, kind, rows, prompting)
        case Perplexity() | BitsPerByte():
            items = TextItems.build(name, kind, rows, prompting.tokenizer, context_limit)
        case Kl():
            items = KlItems.build(name, kind, rows, prompting.tokenizer, context_limit)
    return items


def _solved(kind: Kind, row: Row) -> str:
    """A row as a solved example."""
    match kind:
        case Choice() | Calibration():
            return choice.solved(kind, row)
        case Letter():
            return letter.solved(kind, row)
        case Exact() | F1() | Number() | Bleu() | Chrf():
            return generated.solved(kind, row)
        case Perplexity() | BitsPerByte() | Kl():
            raise ValueError("plain text takes no examples")
