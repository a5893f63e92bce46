"""The same merge for mergekit: a configuration of the method that does the same, with weights by tensor."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from ama_ray.config.fields import id_and_revision, is_hub_id

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.export.merge_file import MergeFile
    from ama_ray.space.baseline import Shares

R = TypeVar("R", bound="Hashable")

NAME = "mergekit.yaml"
_EXPERT = re.compile(r"\.experts\.\d+\.")
_BEHIND_LAYER = re.compile(r"(?<=\d\.)[^\d].*")
_HEADER = """\
# The merge of merge.json for mergekit (tried with 0.1.5): mergekit-yaml mergekit.yaml FOLDER
# Of the filters, which are parts of tensor names, the first that fits counts.
"""
_EQUALS = """\
# Of differences of equal magnitude it may keep others than are kept here, and is then off in these elements.
"""


def why_not(pair: Pair, shares_of: Mapping[str, Shares]) -> str:
    """Why mergekit cannot make this merge; empty where it can.

    Args:
        pair: The checkpoints.
        shares_of: Share of each aligned model in every tensor.
    """
    base, aligned = pair.base, pair.aligned
    dtypes = {aligned.tensors[name].dtype for name in pair.names}
    is_renamed = any(base.tensors[name].name != name for name in pair.names)
    is_split = any(len(ratios) > 1 for ratios in _known(shares_of).values())
    has_adapter = any(end.adapter for end in pair.endpoints)
    delta = pair.delta
    reasons = {
        "it knows no merge of checkpoints of which one has other tokens": base.fits,
        "it rounds to another precision elsewhere than is done here": aligned.dtype,
        "it was not tried on models with parts beside the language model": pair.beside,
        "base has its tensors under other names than aligned, or ties its output head": is_renamed,
        "its adapters were not tried with several aligned models or delta": has_adapter and (pair.further or delta),
        "its dare_linear keeps other elements, as it draws them otherwise": delta and delta.kind == "dare",
        "it trims the experts of a layer together": delta and any(_EXPERT.search(name) for name in pair.names),
        "it averages no checkpoints that hold tensors of integers": len(pair.names) < len(aligned.tensors),
        "it writes all tensors in one precision, and these have several": len(dtypes) > 1,
        "it has the tensors of experts under other names, and here ratios differ within a layer": is_split,
    }
    return next((why for why, is_so in reasons.items() if is_so), "")


def mergekit_yaml(merge: MergeFile) -> str:
    """The configuration.

    Weights of two models add up to 1 for every tensor, so that they need no normalising, which would round again. With
    several aligned models it is task arithmetic, whose base is subtracted from each, and which is done in float32 as
    here. Configuration and tokenizer are those of mergekit's base model, or of `tokenizer_source`, and so the first
    aligned model is given as that.

    Of one model, or of several that an operator joins, trimming is the first step of mergekit's `ties`; of several it
    is its `breadcrumbs` without outliers. With weights of 1 the shares are then `lambda`.
    """
    base, *aligned = merge.parents
    first: Any = _model(aligned[0].source)
    if aligned[0].adapter:
        first = {"model": _place(base.source), "lora": _place(aligned[0].source)}
    settings = list(filters({name: min(shares) for name, shares in _known(merge.shares_of).items()}))

    def weighted(model: Any, weights: Iterable[float]) -> dict[str, Any]:
        of_parts = [_setting(part, weight) for (part, _), weight in zip(settings, weights, strict=True)]
        return {"model": model, "parameters": {"weight": of_parts}}

    delta = merge.delta
    of_models = [[shares[number] for _, shares in settings] for number in range(merge.directions)]
    config: dict[str, Any] = {
        "merge_method": "linear",
        "base_model": first,
        "dtype": merge.dtype,
        "parameters": {"normalize": False},
        "models": [
            weighted(_model(base.source), [1 - share for share in of_models[0]]),
            weighted(first, of_models[0]),
        ],
    }
    if len(aligned) > 1 or delta:
        config |= {
            "merge_method": "task_arithmetic",
            "base_model": _model(base.source),
            "dtype": "float64" if merge.dtype == "float64" else "float32",
            "out_dtype": merge.dtype,
            "tokenizer_source": _model(aligned[0].source),
        }
    if delta and merge.directions == 1:
        config["merge_method"] = "ties"
        config["parameters"] = {
            "lambda": [_setting(part, shares[0]) for part, shares in settings],
            **{"density": delta.share, "rescale": delta.rescale, "weight": 1.0},
        }
        config["models"] = [{"model": _model(each.source)} for each in aligned]
    elif len(aligned) > 1:
        config["models"] = [weighted(_model(each.source), of) for each, of in zip(aligned, of_models, strict=True)]
        if delta:
            config["merge_method"] = "breadcrumbs"
            config["parameters"] |= {"density": delta.share, "gamma": 0.0, "rescale": delta.rescale}
    return _HEADER + _EQUALS * bool(delta) + yaml.safe_dump(config, sort_keys=False, width=120)


def _known(shares_of: Mapping[str, Shares]) -> dict[str, set[Shares]]:
    """Shares by names that mergekit has as well.

    It joins the tensors of experts, and names them and what is beside them as transformers 5 does in memory. So of such
    a model the names up to the number of the layer have to do.
    """
    experts = any(_EXPERT.search(name) for name in shares_of)
    known: dict[str, set[Shares]] = {}
    for name, shares in shares_of.items():
        known.setdefault(_BEHIND_LAYER.sub("", name) if experts else name, set()).add(shares)
    return known


def filters(ratio_of: Mapping[str, R]) -> Iterator[tuple[str, R]]:
    """Parts of names and ratios such that for every tensor the first part that is in its name has its ratio.

    The next part is the one that settles the most tensors among those left over; of equals, the longest one. The last
    one is empty, for all the rest.

    Args:
        ratio_of: Share of aligned of every tensor, or of each of several.
    """
    left = dict(ratio_of)
    while len(set(left.values())) > 1:
        part = next(part for part in _by_promise(left) if len({left[name] for name in left if part in name}) == 1)
        settled = [name for name in left if part in name]
        yield part, left[settled[0]]
        left = {name: ratio for name, ratio in left.items() if name not in settled}
    yield "", next(iter(left.values()))


def _by_promise(left: Mapping[str, Hashable]) -> list[str]:
    """Parts of the names, those first that most tensors of one ratio have, and no tensor of another.

    The longest name is always among those that settle something: it is a part of no other.
    """
    count: Counter[str] = Counter()
    ratio: dict[str, Hashable | None] = {}
    for name, value in left.items():
        for part in _parts(name):
            count[part] += 1
            ratio[part] = value if ratio.get(part, value) == value else None
    pure = [part for part in count if ratio[part] is not None]
    return sorted(pure, key=lambda part: (-count[part], -len(part), part))


def _parts(name: str) -> Iterator[str]:
    """Runs of what is between the dots of a name; one that does not reach the end has its dot, as 1 is a part of 12."""
    words = name.split(".")
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            yield ".".join(words[start:end]) + "." * (end < len(words))


def _setting(part: str, weight: float) -> dict[str, Any]:
    return {"filter": part, "value": weight} if part else {"value": weight}


def _model(source: str) -> Any:
    """As text, in which mergekit takes a plus for an adapter and an at sign for a revision."""
    return {"model": _place(source)} if {"+", "@"} & set(source) else source


def _place(source: str) -> dict[str, str]:
    name, revision = id_and_revision(source) if is_hub_id(source) else (source, None)
    return {"path": name, "revision": revision} if revision else {"path": name}
