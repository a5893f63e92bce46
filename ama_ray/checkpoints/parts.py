"""The parts of a model: the language model, which is searched, and what is beside it, which is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ama_ray.config.fields import Towers

TOWERS = "towers"
"""What reads or writes images and sound, and the projectors to and from it: no score of text depends on it."""
FURTHER = "further-tokens"
"""Layers that predict further tokens than the next one (multi-token prediction): they do not run in a search."""
HEADS = ("lm_head.weight", "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
"""Ends of names of the tensors with a row for every token: the output head, where it is not tied, and the embedding."""

_TEXT = ("text_config", "llm_config", "language_config", "thinker_config")
_PART = re.compile(r"(text|vision|audio|llm|language|thinker|talker)_config")
_WRAPPING = re.compile(r"^(?:(?:model|language_model|text_model|thinker|transformer)\.)+")
_EMBEDDING = re.compile(r"^(.*?)[^.]*(?:embed|wte)[^.]*\.")
_LAYER = re.compile(r"\.(?:layers|h|blocks|block)\.\d+\.")
_FURTHER = re.compile(r"(?:^|\.)mtp(?:_\w+)?\.")
_FURTHER_LAYER = re.compile(r"^(.*\.layers\.\d+\.)eh_proj\.")
_TOWER = re.compile(r"visual|vision|audio|image|speech|resampler|projector|embed_tokens_extend")
_HEAD = re.compile(r"^(.*\.)?(?:lm_head|embed_out|output|output_layer)\.(?:weight|bias)$")


def text_fields(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of the language model: those of a part of `config.json`, or all of it where it has no parts."""
    part = _text_part(config)
    return {**text_fields(config[part]), "tie_word_embeddings": is_tied(config)} if part else config


def is_tied(config: Mapping[str, Any]) -> bool:
    """Whether the output head is the embedding."""
    own, part = config.get("tie_word_embeddings"), _text_part(config)
    return is_tied(config[part]) if own is None and part else bool(own)


def is_wrapper(config: Mapping[str, Any]) -> bool:
    """Whether `config.json` is of a model of text and something else, with a part for each."""
    return any(_PART.fullmatch(key) and isinstance(value, dict) and value for key, value in config.items())


def of_size(config: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """What `config.json` says of a number of tokens, nested as it is there."""
    part = _text_part(config)
    return {part: of_size(config[part], tokens)} if part else {"vocab_size": tokens}


def updated(config: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with other values of some fields, which are nested as they are there."""
    changed = {key: updated(config[key], new) if isinstance(new, dict) else new for key, new in fields.items()}
    return {**config, **changed}


def _text_part(config: Mapping[str, Any]) -> str | None:
    return next((key for key in _TEXT if isinstance(config.get(key), dict) and config[key]), None)


def find(names: Iterable[str], ends: tuple[str, ...]) -> str | None:
    """The first name that has one of these ends."""
    return next((name for name in names if name.endswith(ends)), None)


def beside(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> dict[str, str]:
    """Finds the tensors that are not of the language model.

    The language model is all that begins as its embedding does, the largest of the checkpoint, and the output head. So
    it is found by structure, however a wrapper calls its parts; names tell a tower where that lies within.

    Args:
        shapes: Shape by name of every tensor of a checkpoint.
        config: Its `config.json`.

    Returns:
        By name, `TOWERS` or `FURTHER`.
    """
    further = tuple(match[1] for name in shapes if (match := _FURTHER_LAYER.match(name)))
    stem = _stem(shapes) if is_wrapper(config) else None
    found = {}
    for name in shapes:
        if _FURTHER.search(name) or name.startswith(further):
            found[name] = FURTHER
        elif stem is not None and not _is_text(name, stem):
            found[name] = TOWERS
    return found


def _stem(shapes: Mapping[str, tuple[int, ...]]) -> str:
    found = (
        (shape[0], match[1])
        for name, shape in shapes.items()
        if len(shape) == 2 and not _LAYER.search(name) and (match := _EMBEDDING.match(name))
    )
    return max(found, default=(0, ""))[1]


def _is_text(name: str, stem: str) -> bool:
    if name.startswith(stem):
        return not _TOWER.search(name.removeprefix(stem).partition(".")[0])
    head = _HEAD.match(name)
    return head is not None and stem.startswith(head[1] or "")


def by_structure(names: Iterable[str]) -> dict[str, str]:
    """Names by what is left of them without what says how the model is wrapped, which differs between writers.

    Empty where that does not tell them apart.
    """
    names = list(names)
    found = {unwrapped(name): name for name in names}
    return found if len(found) == len(names) else {}


def unwrapped(name: str) -> str:
    """What is left of a name; see `by_structure`."""
    return _WRAPPING.sub("", name)


def not_searched(beside: Mapping[str, str], towers: Towers) -> tuple[str, ...]:
    """What of a model is not searched, a sentence for each part.

    Args:
        beside: The part of every such tensor (`beside`).
        towers: Where the towers of a merge are from.
    """
    source = {"aligned": "aligned's", "base": "base's", "average": "the middle of both"}[towers]
    said = {
        TOWERS: f"of what reads or writes images or sound, which is not searched: a merge has {source}",
        FURTHER: "of layers that predict further tokens, which are not searched: a merge has aligned's, or base's "
        "where only base has them",
    }
    members = {kind: [name for name, part in beside.items() if part == kind] for kind in said}
    return tuple(f"{listed(members[kind])} {what}." for kind, what in said.items() if members[kind])


def listed(names: Sequence[str]) -> str:
    """Some tensors, as the subject of a sentence."""
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"
