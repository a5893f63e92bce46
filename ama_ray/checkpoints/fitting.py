"""Base in the form of aligned: a row for every token of aligned's, and an output head of its own where aligned has it.

A merge has aligned's tokenizer and aligned's configuration. So what base lacks for them is aligned's at every ratio,
and what only base has is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ama_ray.checkpoints.fit import Fit, Rows
from ama_ray.checkpoints.parts import EMBEDDINGS, HEADS, find, is_tied
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ama_ray.checkpoints.checkpoint import Checkpoint
    from ama_ray.checkpoints.vocabulary import Vocabulary

_BY_TOKEN = (*HEADS, *EMBEDDINGS, "lm_head.bias", "embed_out.bias")
_NAMED = 8
"""How many tokens a warning names."""


def fitted(
    base: Checkpoint, aligned: Checkpoint, vocabularies: tuple[Vocabulary, Vocabulary]
) -> tuple[Checkpoint, list[str]]:
    """Base with tensors of aligned's form, and what is to be said of it, one sentence each.

    Args:
        base: With aligned's names of tensors.
        aligned: As it is on disk.
        vocabularies: Of the two.

    Raises:
        UserError: Aligned ties its output head and base does not.
    """
    base, said = _with_head(base, aligned)
    embedding = find(aligned.searched, EMBEDDINGS)
    if embedding is None or embedding not in base.tensors:
        return base, said
    here, there = (side.tensors[embedding].shape[0] for side in (base, aligned))
    ours, theirs = vocabularies
    if here == there and ours.ids == theirs.ids:
        return base, said
    said += _told(ours, theirs, here, there)
    runs = tuple(_runs(ours, theirs, here, there))
    if runs == (Rows(0, 0, there),) and here == there:
        return base, said
    fits, made = {}, {}
    for name in aligned.searched:
        info, stored, whole = aligned.tensors[name], base.tensors.get(name), aligned.whole(name)
        if whole and stored and name.endswith(_BY_TOKEN) and (stored.shape[:1], info.shape[:1]) == ((here,), (there,)):
            fits[name] = Fit(runs, *whole)
            made[name] = replace(info, file=stored.file, name=stored.name)
    return replace(base, tensors=base.tensors | made, fits=fits), said


def _with_head(base: Checkpoint, aligned: Checkpoint) -> tuple[Checkpoint, list[str]]:
    """Base with an output head of its own where aligned has one; it is base's embedding where base ties the two."""
    own, head = find(base.searched, HEADS), find(aligned.searched, HEADS)
    if own and not head and is_tied(aligned.config):
        raise UserError(
            f"{aligned.folder / 'config.json'}: tie_word_embeddings is true, and base has an output head of its own, "
            "for which a merge would have no place; save aligned with its head untied, that is with its embedding as "
            "lm_head.weight and tie_word_embeddings: false."
        )
    embedding = find(base.searched, EMBEDDINGS)
    if own or not head or not embedding or not is_tied(base.config):
        return base, []
    told = f"base ties its output head to its embedding and aligned does not: base's {head} is its {embedding}."
    return replace(base, tensors=base.tensors | {head: base.tensors[embedding]}), [told]


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
