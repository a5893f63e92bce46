"""The presets by name, and the items of one: read from the hub or from a local copy, and divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ama_ray.config.data import Source
from ama_ray.data import splits
from ama_ray.data.splits import Splits
from ama_ray.errors import UserError, did_you_mean
from ama_ray.probes.presets import (
    arc,
    code,
    drop,
    gsm8k,
    hellaswag,
    math,
    mmlu,
    piqa,
    race,
    squad,
    superglue,
    truthfulqa,
    winogrande,
    wmt14,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.config import PresetProbe
    from ama_ray.data.rows import Row
    from ama_ray.probes.base import ProbeKind
    from ama_ray.probes.presets.base import Preset

_MODULES = (arc, race, piqa, superglue, squad, drop, wmt14, hellaswag, winogrande, mmlu, gsm8k, truthfulqa, math, code)

PRESETS: dict[str, Preset] = {name: preset for module in _MODULES for name, preset in module.PRESETS.items()}
"""By name."""

_EXAMPLES_SHARE = 1 / 20
"""Of a split that has both search items and solved examples, what is kept for the examples."""


@dataclass(frozen=True)
class Loaded:
    """A benchmark's items.

    Attributes:
        kind: How they are asked and scored.
        halves: The items, with the fields of the kind.
        examples: Solved items to draw few-shot examples from, none of them in `halves`; empty without `few_shot`, and
            where the examples differ between items and therefore stand in the prompts already.
    """

    kind: ProbeKind
    halves: Splits
    examples: tuple[Row, ...]


def name_and_family(probe: PresetProbe) -> tuple[str, str]:
    """What a probe is called and which family it belongs to.

    Raises:
        UserError: There is no such preset.
    """
    return probe.name or probe.preset, probe.family or _preset(probe).family


def kind(probe: PresetProbe) -> ProbeKind:
    """How a probe is asked and scored.

    Raises:
        UserError: There is no such preset, or it has no such field.
    """
    kind = _preset(probe).kind
    try:
        return type(kind).model_validate(dict(kind) | probe.changes)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"preset {probe.preset}: {where}: {first['msg'].removeprefix('Value error, ')}.") from None


def uses_test_split(probe: PresetProbe) -> bool:
    """Whether the search items are, by the name of their file or their split, of the benchmark's test split.

    Raises:
        UserError: There is no such preset.
    """
    preset = _preset(probe)
    if probe.file is None:
        return splits.is_test_split(preset.hub.search)
    # RACE's folders: test/high, test/middle.
    file = probe.file.parent if probe.file.name in ("high", "middle") else probe.file
    return splits.is_test_split(file.name)


def load(probe: PresetProbe, share: float) -> Loaded:
    """Reads the items of a probe from its local copy or from the hub, and divides them.

    Args:
        probe: The probe of the run file.
        share: How many of the items go to the report split, where one file or one hub split has both (0-1).

    Raises:
        UserError: There is no such preset; a file or dataset is missing or malformed; there are too few items or
            examples. Names file, line and field, or dataset and split.
    """
    preset = _preset(probe)
    halves = _local(probe, preset, share) if probe.file else _from_hub(probe, preset, share)
    if probe.few_shot is None:
        return Loaded(kind(probe), halves, ())
    examples = _examples(probe, preset, halves)
    if len(examples) < probe.few_shot.n:
        raise UserError(
            f"preset {probe.preset}: few_shot.n is {probe.few_shot.n}, but only {len(examples)} examples are no items; "
            "lower it, or name another few_shot.file."
        )
    if preset.in_front is None:
        return Loaded(kind(probe), halves, examples)
    search, report = (preset.in_front(half, examples, probe.few_shot.n) for half in (halves.search, halves.report))
    return Loaded(kind(probe), Splits(search, report), ())


def _preset(probe: PresetProbe) -> Preset:
    if probe.preset not in PRESETS:
        known = f"the presets are {', '.join(sorted(PRESETS))}{did_you_mean(probe.preset, PRESETS)}"
        raise UserError.of("preset", [f"there is no {probe.preset!r}; {known}"])
    return PRESETS[probe.preset]


def _local(probe: PresetProbe, preset: Preset, share: float) -> Splits:
    source = Source(file=probe.file, report_file=probe.report_file, items=probe.items)
    return splits.load(source, share, lambda file: preset.items(preset.read(file)))


def _from_hub(probe: PresetProbe, preset: Preset, share: float) -> Splits:
    if probe.report_file:
        raise UserError(f"{probe.report_file}: a report_file needs a file beside it, with the search items.")
    search = preset.items(preset.hub.rows(preset.hub.search))
    if _takes_examples_from_search(probe, preset):
        search = [row for row in search if not _is_kept_for_examples(row)]
    if preset.hub.report is None:
        halves = splits.divide(search, share)
    else:
        report = preset.items(preset.hub.rows(preset.hub.report))
        # Some benchmarks ask the same in both splits, which their users cannot change.
        asked = {splits.question(row) for row in report}
        halves = Splits(tuple(row for row in search if splits.question(row) not in asked), tuple(report))
    return Splits(splits.limit(halves.search, probe.items), splits.limit(halves.report, probe.items))


def _takes_examples_from_search(probe: PresetProbe, preset: Preset) -> bool:
    from_hub = probe.file is None and probe.few_shot is not None and probe.few_shot.file is None
    return from_hub and preset.hub.few_shot == preset.hub.search


def _is_kept_for_examples(row: Row) -> bool:
    return splits.draw("few-shot " + splits.question(row)) < _EXAMPLES_SHARE


def _examples(probe: PresetProbe, preset: Preset, halves: Splits) -> tuple[Row, ...]:
    """Solved items that are in neither half."""
    if file := _examples_file(probe, preset):
        rows = preset.items(preset.read(file))
    elif preset.hub.few_shot is None:
        raise UserError(f"preset {probe.preset}: this benchmark has no split for examples; name a few_shot.file.")
    else:
        rows = preset.items(preset.hub.rows(preset.hub.few_shot))
    if _takes_examples_from_search(probe, preset):
        rows = [row for row in rows if _is_kept_for_examples(row)]
    items = {splits.question(row) for row in (*halves.search, *halves.report)}
    return tuple(row for row in rows if splits.question(row) not in items)


def _examples_file(probe: PresetProbe, preset: Preset) -> Path | None:
    if probe.few_shot and probe.few_shot.file:
        return probe.few_shot.file
    if probe.file and preset.examples_beside and (beside := preset.examples_beside(probe.file)).exists():
        return beside
    return None
