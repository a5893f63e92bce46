"""What the files of a pair say of generation: the tokens that end a reply, and settings that trials do not follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.json_file import read_json_if_there
from ama_ray.checkpoints.parts import text_fields
from ama_ray.config.sampling import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ama_ray.checkpoints.vocabulary import Vocabulary

GENERATION = "generation_config.json"
_CONFIG = "config.json"
_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json")
_FOLLOWED_BY_OTHERS = (
    *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "sequence_bias", "bad_words_ids"),
    *("suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id"),
    *("min_length", "min_new_tokens", "exponential_decay_length_penalty"),
)
_NEUTRAL: tuple[Any, ...] = (None, 0, 1, [])


@dataclass(frozen=True)
class Ends:
    """The tokens that end a reply, in every trial and by what an export says.

    Attributes:
        ids: In aligned's vocabulary; those that aligned names come first.
        warnings: What is to be said of them and of other settings of generation, one sentence each.
    """

    ids: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


def ends_of(vocabularies: tuple[Vocabulary, Vocabulary], folders: Sequence[Path]) -> Ends:
    """All tokens that a file of either checkpoint names as an end.

    A merge is between the two and may end a reply as either does; a token that is no end costs tokens until the longest
    reply, and what comes behind it is scored.

    Args:
        vocabularies: Of base and of aligned.
        folders: Of base and of aligned, which may be an adapter; what it does not say is base's.

    Raises:
        UserError: A file holds no JSON object.
    """
    base, aligned = vocabularies
    named: dict[int, str] = {}
    for folder, vocabulary in ((folders[1], aligned), (folders[0], base)):
        for file, token in _named(folder, vocabulary):
            if token in aligned.ids:
                named.setdefault(aligned.ids[token], f"{token!r} ({file} of {folder.name})")
    exported = next((folder for folder in folders[::-1] if (folder / GENERATION).is_file()), None)
    config = next((folder for folder in folders[::-1] if (folder / _CONFIG).is_file()), folders[0])
    said = read_json_if_there(exported / GENERATION) if exported else read_json_if_there(config / _CONFIG)
    warnings = list(_not_followed(exported)) if exported else []
    if named.keys() != set(end_ids(said)):
        warnings.append(
            f"a reply ends at {' and at '.join(named.values())}: in every trial, and in exports, whose {GENERATION} "
            "names all of these."
        )
    return Ends(tuple(named), tuple(warnings))


def end_ids(fields: dict[str, Any]) -> list[int]:
    """The ids of the end tokens that a configuration, of the model or of generation, names."""
    said = fields.get("eos_token_id")
    if said is None:
        said = text_fields(fields).get("eos_token_id")
    return [number for number in (said if isinstance(said, list) else [said]) if isinstance(number, int)]


def _named(folder: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Files that name end tokens, and the tokens."""
    tokens = vocabulary.tokens
    for file in (GENERATION, _CONFIG):
        for number in end_ids(read_json_if_there(folder / file)):
            if number in tokens:
                yield file, tokens[number]
    for file in _TOKENIZER:
        token = read_json_if_there(folder / file).get("eos_token")
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str):
            yield file, text


def _not_followed(folder: Path) -> Iterator[str]:
    fields = read_json_if_there(folder / GENERATION)
    for name in _FOLLOWED_BY_OTHERS:
        if (value := fields.get(name)) not in _NEUTRAL:
            trials = "a trial only where its `sampling` says so" if name in CHECKPOINT else "no trial"
            yield (
                f"{folder / GENERATION}: {name} is {value!r}; exports keep it, and programs that read the file follow "
                f"it, but {trials}."
            )
