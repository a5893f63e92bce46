"""Base in the form of aligned: a row for every token of aligned's, and an output head of its own where aligned has it.

A merge has aligned's tokenizer and aligned's configuration. So what base lacks for them is aligned's at every ratio,
and what only base has is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.checkpoints.fit import EMBEDDINGS, HEADS, Fit, Rows, find
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.checkpoints.vocabulary import Vocabulary
    from ama_ray.checkpoints.weight_files import TensorInfo

_BIASES = ("lm_head.bias", "embed_out.bias")
_NAMED = 8
"""How many tokens a warning names."""


def fitted(
    base: Checkpoint, aligned: Checkpoint, vocabularies: tuple[Vocabulary, Vocabulary]
) -> tuple[Checkpoint, list[str]]:
    """Base with tensors of aligned's form, and what is to be said of it, one sentence each.

    Args:
        base: As it is on disk.
        aligned: As it is on disk.
        vocabularies: Of the two.

    Raises:
        UserError: Aligned ties its output head and base does not.
    """
    fits: dict[str, Fit] = {}
    said = list(_head(base, aligned, fits))
    said += _rows(base, aligned, vocabularies, fits)
    if not fits:
        return base, said
    made = {name: _info(base.tensors[fit.stored], fit, aligned.tensors[name]) for name, fit in fits.items()}
    return replace(base, tensors=base.tensors | made, fits=fits), said


def _info(stored: TensorInfo, fit: Fit, wanted: TensorInfo) -> TensorInfo:
    return stored if fit.rows is None else replace(wanted, file=stored.file)


def _head(base: Checkpoint, aligned: Checkpoint, fits: dict[str, Fit]) -> Iterator[str]:
    own, theirs = bool(base.config.get("tie_word_embeddings")), bool(aligned.config.get("tie_word_embeddings"))
    if theirs and not own and find(base.tensors, HEADS):
        raise UserError(
            f"{aligned.folder / 'config.json'}: tie_word_embeddings is true, and base has an output head of its own, "
            "for which a merge would have no place; save aligned with its head untied, that is with its embedding as "
            "lm_head.weight and tie_word_embeddings: false."
        )
    head, embedding = find(aligned.tensors, HEADS), find(base.tensors, EMBEDDINGS)
    if own and not theirs and head and embedding and head not in base.tensors:
        fits[head] = Fit(embedding)
        yield f"base ties its output head to its embedding and aligned does not: base's {head} is its {embedding}."


def _rows(
    base: Checkpoint, aligned: Checkpoint, vocabularies: tuple[Vocabulary, Vocabulary], fits: dict[str, Fit]
) -> Iterator[str]:
    names = (find(base.tensors, EMBEDDINGS), find(aligned.tensors, EMBEDDINGS))
    if not all(names):
        return
    here, there = (
        checkpoint.tensors[name].shape[0] for checkpoint, name in zip((base, aligned), names, strict=True) if name
    )
    ours, theirs = vocabularies
    if here == there and ours.ids == theirs.ids:
        return
    runs = tuple(_runs(ours, theirs, here, there))
    if here != there or runs != (Rows(0, 0, there),):
        for name, info in aligned.tensors.items():
            stored, other = fits[name].stored if name in fits else name, aligned.whole(name)
            is_by_token = name.endswith((*HEADS, *EMBEDDINGS, *_BIASES)) and info.shape[0] == there
            if other and is_by_token and stored in base.tensors and base.tensors[stored].shape[0] == here:
                fits[name] = Fit(stored, runs, other)
    yield from _told(ours, theirs, here, there)


def _runs(base: Vocabulary, aligned: Vocabulary, here: int, there: int) -> Iterator[Rows]:
    """The rows that both have: those of a token that both know, and padding at the same place in both."""
    tokens, taken = aligned.tokens, set(base.ids.values())
    run: Rows | None = None
    for row in range(there):
        own = base.ids.get(tokens[row]) if row in tokens else (None if row in taken else row)
        if own is not None and own >= here:
            own = None
        if run and own is not None and (own - run.own) == (row - run.first):
            run = replace(run, count=run.count + 1)
            continue
        if run:
            yield run
        run = None if own is None else Rows(row, own, 1)
    if run:
        yield run


def _told(base: Vocabulary, aligned: Vocabulary, here: int, there: int) -> Iterator[str]:
    if new := [token for token in aligned.ids if token not in base.ids]:
        yield (
            f"{_tokens(new, 'is', 'are')} in aligned's vocabulary alone: whatever the ratio, a merge has aligned's "
            "rows of the embedding and of the output head there."
        )
    if lost := [token for token in base.ids if token not in aligned.ids]:
        yield f"{_tokens(lost, 'is', 'are')} in base's vocabulary alone: a merge does not have {_it(lost)}."
    if moved := [token for token, number in base.ids.items() if aligned.ids.get(token, number) != number]:
        yield (
            f"{_tokens(moved, 'has', 'have')} another id in base than in aligned: a merge has aligned's, and averages "
            "the rows of one token, not of one id."
        )
    if here != there:
        yield f"the embedding has {here} rows in base and {there} in aligned: a merge has {there}."


def _tokens(tokens: list[str], one: str, several: str) -> str:
    named = ", ".join(repr(token) for token in tokens[:_NAMED])
    more = f" and {len(tokens) - _NAMED} more" if len(tokens) > _NAMED else ""
    return f"the token{'s' if len(tokens) > 1 else ''} {named}{more} {several if len(tokens) > 1 else one}"


def _it(tokens: list[str]) -> str:
    return "them" if len(tokens) > 1 else "it"
