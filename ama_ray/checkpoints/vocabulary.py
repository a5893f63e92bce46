"""`Vocabulary`: the tokens of a tokenizer and their ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ama_ray.checkpoints.json_file import read_json
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a tokenizer.

    Attributes:
        folder: Where it is.
        ids: By token, added ones included.
        added: The tokens that were added to those that its model of text knows; they change how no other text is split.
    """

    folder: Path
    ids: Mapping[str, int]
    added: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Vocabulary:
        """Reads the vocabulary of a folder.

        Raises:
            UserError: There is no tokenizer, or it cannot be read.
        """
        if not has_tokenizer(folder):
            raise UserError(f"{folder}: there is no tokenizer; save it there with tokenizer.save_pretrained.")
        path = folder / "tokenizer.json"
        if not path.is_file():
            return cls._slow(folder)
        try:
            fields = read_json(path)
            tokens = fields["model"]["vocab"]
            # Unigram models list [token, score] pairs, the position being the id; the others map tokens to ids.
            known = dict(tokens) if isinstance(tokens, dict) else {pair[0]: i for i, pair in enumerate(tokens)}
            added = {token["content"]: token["id"] for token in fields.get("added_tokens") or []}
        except (KeyError, TypeError, IndexError):
            raise UserError(f"{path}: this is not a tokenizer; save it again with tokenizer.save_pretrained.") from None
        return cls(folder, known | added, frozenset(added))

    @classmethod
    def _slow(cls, folder: Path) -> Vocabulary:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise UserError(f"{folder}: its tokenizer cannot be read ({one_line(error)}).") from None
        return cls(folder, tokenizer.get_vocab(), frozenset(tokenizer.get_added_vocab()))

    @property
    def tokens(self) -> dict[int, str]:
        """By id; where several tokens have one id, as with an alias, the last."""
        return {number: token for token, number in self.ids.items()}


def has_tokenizer(folder: Path) -> bool:
    """Whether there is a tokenizer in a folder."""
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)


def compare_vocabularies(base: Vocabulary, aligned: Vocabulary) -> None:
    """Refuses tokenizers that split text differently: what they differ in is more than added tokens.

    Raises:
        UserError: They do; names the first token.
    """
    known = base.added | aligned.added
    odd = [item for item in base.ids.items() ^ aligned.ids.items() if item[0] not in known]
    if not odd:
        return
    token, _ = min(odd, key=lambda item: (item[1], item[0]))
    raise UserError(
        f"{base.folder} and {aligned.folder}: the vocabularies of their tokenizers differ by more than added tokens, "
        f"first in the token {token!r} (id {base.ids.get(token)} and {aligned.ids.get(token)}), so their embeddings "
        "mean different things; use a base with aligned's tokenizer."
    )
