"""Preparing a probe of any kind, and what is known of it before: its name, its family, its metric.

The kinds stand in `ama_ray.config.probes` by the addresses of their classes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.config.probes import CommandProbe, PresetProbe, Prompted, TaskProbe
from ama_ray.data import splits
from ama_ray.data.item_text import item_text
from ama_ray.data.prompting import Prompting
from ama_ray.data.rows import read_jsonl
from ama_ray.engine.requests import check_length
from ama_ray.errors import UserError
from ama_ray.probes import few_shot
from ama_ray.probes.base import ProbeKind
from ama_ray.processes.worker import end_workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ama_ray.config import FileProbe, Probe
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.data.rows import Row
    from ama_ray.data.splits import Splits
    from ama_ray.probes.base import PreparedProbe


def prepare(
    probe: Probe, tokenizer: Tokenizer, share: float, context_limit: int | None, seed: int = 0
) -> dict[str, PreparedProbe]:
    """Reads, checks and tokenises a probe; done once per run.

    Args:
        probe: The probe of the run file.
        tokenizer: The tokenizer of the pair.
        share: How many of the items go to the report split, where one file has both (0-1).
        context_limit: Most tokens the model takes, or None where its configuration does not say; plain text that is
            longer is divided.
        seed: The seed of the run.

    Returns:
        The probe on all of the search split (`trade`), on the first of its items, which trials of the search see
        (`search`), on these once more in parts (`part-0`, ...) where they are enough, and on the `report` split. A task
        of lm-evaluation-harness is whole in the first part.

    Raises:
        UserError: Its file is missing, empty or malformed; names file, line and field.
    """
    if isinstance(probe, TaskProbe):
        from ama_ray.probes.lm_eval import loading

        search, report = loading.load(probe, tokenizer, share, context_limit)
        return {"trade": search, "search": search, "report": report, "part-0": search}
    assert not isinstance(probe, CommandProbe)  # it has no items of its own
    try:
        return _prepared(probe, tokenizer, share, context_limit, seed)
    finally:
        end_workers()


def _prepared(
    probe: FileProbe | PresetProbe, tokenizer: Tokenizer, share: float, context_limit: int | None, seed: int
) -> dict[str, PreparedProbe]:
    kind, halves, pool = _load(probe, share)
    name, _ = name_and_family(probe)
    prompting = Prompting(tokenizer)
    if isinstance(probe, Prompted):
        examples = ""
        if probe.few_shot and pool:
            examples = few_shot.examples(name, probe.few_shot.n, pool, halves, kind.solved)
        prompting = Prompting(tokenizer, probe, examples, seed)
    rows = splits.shuffled(halves.search)
    seen = rows[: splits.searched(len(rows))]
    split = {"trade": rows, "search": seen, "report": halves.report}
    split |= {f"part-{number}": seen[part] for number, part in enumerate(splits.parts(seen))}
    prepared = {part: kind.build(name, rows, prompting, context_limit) for part, rows in split.items()}
    prepared["report"] = replace(prepared["report"], texts=tuple(map(item_text, halves.report)))
    longest = max(request.length for each in prepared.values() for request in each.requests)
    if context_limit is not None and longest > context_limit:
        # Only now one by one, to tell whose request it is.
        for row in (*halves.search, *halves.report):
            for request in kind.build(name, [row], prompting, context_limit).requests:
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

        return presets.kind(probe).scored_by
    if isinstance(probe, CommandProbe):
        return "mean"
    return _kind(probe).scored_by


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
    if isinstance(probe, CommandProbe):
        return False  # only the command knows
    return splits.is_test_split(probe.search_name)


def _load(probe: FileProbe | PresetProbe, share: float) -> tuple[ProbeKind, Splits, Sequence[Row]]:
    """The kind of a probe, its items, and solved ones to draw examples from."""
    if isinstance(probe, PresetProbe):
        from ama_ray.probes.presets import registry as presets

        loaded = presets.load(probe, share)
        return loaded.kind, loaded.halves, loaded.examples
    halves = splits.load(probe, share)
    if not isinstance(probe, Prompted) or probe.few_shot is None:
        return _kind(probe), halves, ()
    if probe.few_shot.file is None:
        raise UserError(
            f"{probe.name}: few_shot.file is missing; name a file of solved examples, in the probe's format."
        )
    return _kind(probe), halves, read_jsonl(probe.few_shot.file)


def _kind(probe: FileProbe) -> ProbeKind:
    assert isinstance(probe, ProbeKind)  # the run file makes no other
    return probe
