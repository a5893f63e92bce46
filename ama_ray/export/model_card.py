"""The model card of a merge."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ama_ray.report.formatting import decimals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ama_ray.export.merge_file import Licence, MergeFile, Parent, ScoredPoint, Value

_UNSTATED = "none stated"


def model_card(merge: MergeFile, why_no_mergekit: str = "") -> ModelCard:
    """The card: what the merge is, how to make it again, its ratios, and its scores with 95% intervals.

    Args:
        merge: The recipe.
        why_no_mergekit: Why mergekit cannot make this merge; empty where it can.
    """
    parents = merge.parents
    agreed = _agreed([parent.licence for parent in parents])
    results = list(_results(merge.found.scores[0].probes)) if merge.found and merge.found.scores else []
    card: ModelCard = ModelCard.from_template(
        ModelCardData(
            base_model=[parent.name for parent in parents],
            base_model_relation="merge",
            library_name="transformers",
            tags=["merge", "ama_ray"],
            pipeline_tag="text-generation",
            model_name=merge.parents[1].name.split("/")[-1] if results else None,
            eval_results=results or None,
            license=agreed.id if agreed else "other",
            license_name=agreed.name if agreed else None,
            license_link=agreed.link if agreed else None,
        ),
        template_str=files(__package__).joinpath("card.md.j2").read_text(encoding="utf-8"),
        merge=merge,
        several=len(parents) > 2,
        operated=_operated(merge),
        titles=[parent.name.split("/")[-1] for parent in parents[1:]],
        parents=[(role, _linked(parent), parent) for role, parent in zip(merge.roles, parents, strict=True)],
        licences=_sentence(merge, agreed),
        scores=list(_rows(merge.found.scores)) if merge.found else [],
        columns=[_cell(scored.name) for scored in merge.found.scores] if merge.found else [],
        why_no_mergekit=why_no_mergekit,
        cell=_cell,
    )
    return card


def _operated(merge: MergeFile) -> str:
    """What was done to the differences, in a sentence; empty where nothing was."""
    if merge.delta is None:
        return ""
    did = {
        "trim": "Of the differences of every tensor of aligned from base, {share} were kept, the largest by magnitude"
        "{rescaled}.",
        "ties": "One aligned model was made of them by TIES ([arXiv 2306.01708](https://arxiv.org/abs/2306.01708)): of "
        "the differences from base {share} of every tensor were kept, and those of the elected sign averaged.",
        "dare": "Of the differences of every tensor of aligned from base, {share} were kept at random and divided by "
        "{share} (DARE, [arXiv 2311.03099](https://arxiv.org/abs/2311.03099), seed {seed}).",
    }[merge.delta.kind]
    rescaled = ", and multiplied so that their magnitudes have the sum they had" * merge.delta.rescale
    return did.format(share=f"{merge.delta.share:.4g}", rescaled=rescaled, seed=merge.delta.seed)


def _results(probes: Mapping[str, Value]) -> Iterator[EvalResult]:
    """What the hub lists beside the card, as `model-index`; rewards have no dataset that others could look up."""
    for name, each in probes.items():
        if each.value is not None:
            yield EvalResult(
                task_type="text-generation",
                dataset_type=name,
                dataset_name=name,
                metric_type="score",
                metric_name="the probe's own metric",
                metric_value=each.value,
            )


def _agreed(licences: Sequence[Licence | None]) -> Licence | None:
    """The licence of all parents, or None where they state different ones, or one states none."""
    return licences[0] if all(each == licences[0] for each in licences) else None


def _sentence(merge: MergeFile, agreed: Licence | None) -> str:
    both = "both" if len(merge.parents) == 2 else "all"
    if agreed:
        return f"{both.capitalize()} parents state the licence {_called(agreed)}."
    base, *others = (_called(parent.licence) for parent in merge.parents)
    of_others = "; ".join(f"that of {role}: {each}" for role, each in zip(merge.roles[1:], others, strict=True))
    return (
        f"By their model cards, the licence of base is: {base}; {of_others}. This merge is a derivative "
        f"of {both}, and {both} apply."
    )


def _called(licence: Licence | None) -> str:
    if licence is None:
        return _UNSTATED
    called = f"{licence.id} ({licence.name})" if licence.name else licence.id
    return f"[{called}]({licence.link})" if licence.link else called


def _linked(parent: Parent) -> str:
    if parent.on_hub:
        revision = f", revision `{parent.revision}`" if parent.revision else ""
        return f"[{parent.name}](https://huggingface.co/{parent.name}){revision}"
    return f"`{parent.name}`, a local folder"


def _rows(scores: tuple[ScoredPoint, ...]) -> Iterator[tuple[str, list[str]]]:
    """A row per objective and per probe, with a cell for every point."""
    for kind in ("objectives", "probes"):
        tables: list[dict[str, Value]] = [getattr(scored, kind) for scored in scores]
        for name in tables[0]:
            values = [table.get(name) for table in tables]
            places = min(3, decimals(each.value for each in values if each and each.value is not None))
            label = {"objectives": "**{}**", "probes": "{}"}[kind].format(_cell(name))
            yield label, [_interval(each, places) for each in values]


def _interval(value: Value | None, places: int) -> str:
    if value is None or value.value is None:
        return ""
    text = f"{value.value:z.{places}f}"
    if value.low is None or value.high is None:
        return text
    return f"{text} ({value.low:z.{places}f} to {value.high:z.{places}f})"


def _cell(text: str) -> str:
    """In a table of Markdown, where a bar ends a cell."""
    return " ".join(text.split()).replace("|", "\\|")
