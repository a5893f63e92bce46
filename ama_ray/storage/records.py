"""`trials.csv`: one row per trial, written whole and atomically, so that a killed run leaves a readable file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.reading import parse_json, read_text
from ama_ray.scores.trial import KeptReply, Trial
from ama_ray.storage.files import replacing
from ama_ray.storage.names import TRIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


CHECK = "check"
"""The last column: a checksum of the header and the row, by which a row that is cut off or changed is known."""
_END = "\r\n"
_RECORD = re.compile(r'(?:[^"\n]++|"[^"]*+"?)*+(?:\n|\Z)')
"""A line of the file with its end; a field in quotes may hold the ends of lines, and the last line may be cut off."""
_log = logging.getLogger(__name__)


def write_trials(
    path: str | Path, trials: Iterable[Trial], to_row: Callable[[Trial], dict[str, Any]] = Trial.to_row
) -> None:
    """Writes all trials, replacing the file in one step and only once its bytes are on disk.

    A value that a trial lacks, and NaN, is an empty cell.

    Args:
        path: The CSV file.
        trials: In the order of the rows.
        to_row: The columns of a trial.
    """
    TrialsFile(path, to_row).write(trials)


class TrialsFile:
    """`trials.csv` of a run that goes on: written whole after every trial, but only what is new is put into words."""

    def __init__(self, path: str | Path, to_row: Callable[[Trial], dict[str, Any]] = Trial.to_row) -> None:
        """Writes to a path, with the columns that `to_row` gives; a file that is there is replaced."""
        self._path = Path(path)
        self._to_row = to_row
        self._columns: tuple[str, ...] = ()
        self._lines: dict[int, tuple[Trial, str]] = {}

    def write(self, trials: Iterable[Trial]) -> None:
        """Writes all trials, as `write_trials` does."""
        trials = list(trials)
        rows = {index: self._to_row(trial) for index, trial in enumerate(trials) if self._is_new(trial)}
        if any(row.keys() - set(self._columns) for row in rows.values()):
            rows = {index: self._to_row(trial) for index, trial in enumerate(trials)}
            # Most trials lack columns, such as those of the report split: the fullest give the header its order.
            fullest_first = sorted(rows.values(), key=len, reverse=True)
            self._columns = tuple(dict.fromkeys(column for row in fullest_first for column in row))
        header = _line((*self._columns, CHECK))
        lines = []
        for index, trial in enumerate(trials):
            if index in rows:
                body = _line(rows[index].get(column, "") for column in self._columns).removesuffix(_END)
                self._lines[trial.number] = trial, f"{body},{_check(header, body)}{_END}"
            lines.append(self._lines[trial.number][1])
        with replacing(self._path) as file:
            file.writelines((header, *lines))

    def _is_new(self, trial: Trial) -> bool:
        return trial.number not in self._lines or self._lines[trial.number][0] is not trial


def _line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator=_END).writerow("" if _is_nan(value) else value for value in values)
    return line.getvalue()


def _check(header: str, body: str) -> str:
    return hashlib.sha256((header + body).encode()).hexdigest()[:16]


def read_trials(path: str | Path) -> list[Trial]:
    """Reads the trials of a CSV file that `write_trials` wrote.

    Args:
        path: The CSV file.

    Returns:
        The trials in the order of the rows.

    Raises:
        UserError: The file is missing, or a row cannot be read.
    """
    path = Path(path)
    try:
        header, *rows = _RECORD.findall(read_text(path, newline=""))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; a run writes it after its first trial.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}).") from None
    if not f",{header}".endswith(f",{CHECK}{_END}"):
        raise UserError(
            f"{path}: its first line is no whole header that ends in {CHECK}; is this the trials.csv of a run?"
        )
    columns = _fields(header)
    trials = []
    for position, row in enumerate(filter(None, rows), start=1):
        if not row.endswith("\n"):
            _log.warning("%s: its last row is cut off and left out.", path)
            break
        body, _, check = row.removesuffix(_END).rpartition(",")
        if not row.endswith(_END) or check != _check(header, body):
            raise UserError(
                f"{path}: row {position} is not as it was written, by its {CHECK}; put the file back as it was."
            )
        try:
            trials.append(Trial.from_row(dict(zip(columns, _fields(body), strict=False))))
        except KeyError as error:
            raise UserError(f"{path}: there is no column {error}; is this the {TRIALS} of a run?") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: row {position} cannot be read ({error}).") from None
    return trials


def _fields(record: str) -> list[str]:
    return next(csv.reader(io.StringIO(record, newline="")))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


@dataclass(frozen=True)
class ReplyStore:
    """`replies.jsonl` of a run: a line per trial and prompt, with the keys `trial`, `prompt` and `reply`."""

    path: Path

    def write(self, number: int, replies: Sequence[KeptReply]) -> None:
        """Puts the replies of a trial in the place of those it had, in one step."""
        everything = self.read() | {number: tuple(replies)}
        with replacing(self.path) as file:
            for trial in sorted(everything):
                for each in everything[trial]:
                    line = {"trial": trial, "prompt": each.prompt, "reply": each.reply}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def read(self) -> dict[int, tuple[KeptReply, ...]]:
        """The replies by trial; empty where there is no file, as in runs of before it was written.

        Raises:
            UserError: The file cannot be read.
        """
        found: dict[int, tuple[KeptReply, ...]] = {}
        try:
            for line in map(parse_json, filter(None, read_text(self.path).split("\n"))):
                number = int(line["trial"])
                found[number] = (*found.get(number, ()), KeptReply(str(line["prompt"]), str(line["reply"])))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: not a readable file of replies ({error}); remove it.") from None
        return found
