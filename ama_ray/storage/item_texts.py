"""`ItemTexts`: what the items of the report ask, and what the points that it scored have answered."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ama_ray.errors import UserError
from ama_ray.reading import parse_json, read_text
from ama_ray.scores.item_text import ItemText
from ama_ray.storage.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

Text = TypeVar("Text")

LONGEST = 4_000
"""Characters of a text that are kept; of very many items fewer."""
_OF_A_FILE = 16_000_000
_ITEMS = "items"


@dataclass(frozen=True)
class ItemTexts:
    """The `texts` folder of a run, in which all files have a line per reward or probe.

    `items.jsonl` has the keys `name` and `items`, each of them an `ItemText`; `17.jsonl` has `name` and `answers`, what
    trial 17 answered to each on the report split.
    """

    folder: Path

    def write_items(self, items: Mapping[str, Sequence[ItemText]]) -> None:
        """Writes what the items ask."""
        longest = _longest(items.values())
        cut = {name: [_cut(each, longest) for each in of_name] for name, of_name in items.items()}
        self._write(_ITEMS, "items", cut)

    def write_answers(self, number: int, answers: Mapping[str, Sequence[str]]) -> None:
        """Writes what a trial answered to each item."""
        longest = _longest(answers.values())
        self._write(str(number), "answers", {name: [text[:longest] for text in each] for name, each in answers.items()})

    def read_items(self) -> dict[str, list[ItemText]]:
        """What the items ask, by name of the reward or probe; empty where there is no such file.

        Raises:
            UserError: The file is damaged.
        """
        return self._read(_ITEMS, "items", lambda each: ItemText(str(each["prompt"]), str(each["gold"])))

    def read_answers(self, number: int) -> dict[str, list[str]]:
        """What a trial answered, by name of the reward or probe; empty where there is no such file.

        Raises:
            UserError: The file is damaged.
        """
        return self._read(str(number), "answers", str)

    def _write(self, stem: str, key: str, lines: Mapping[str, Any]) -> None:
        self.folder.mkdir(exist_ok=True)
        with replacing(self.folder / f"{stem}.jsonl") as file:
            for name, value in lines.items():
                # Replies may have half a character, which is in no encoding.
                file.write(json.dumps({"name": name, key: value}) + "\n")

    def _read(self, stem: str, key: str, made: Callable[[Any], Text]) -> dict[str, list[Text]]:
        path = self.folder / f"{stem}.jsonl"
        try:
            lines = map(parse_json, filter(None, read_text(path).split("\n")))
            found = {str(line["name"]): list(map(made, line[key])) for line in lines}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a readable file of texts ({error}); remove it.") from None
        return found


def _longest(several: Iterable[Sequence[Any]]) -> int:
    return min(LONGEST, _OF_A_FILE // max(sum(map(len, several)), 1))


def _cut(item: ItemText, longest: int) -> dict[str, str]:
    texts = asdict(item)
    return {name: texts[name][:longest] for name in ("prompt", "gold")}
