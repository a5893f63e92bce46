"""`trials.csv`: one row per trial, written whole and atomically, so that a killed run leaves a readable file."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.files import replacing
from ama_ray.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_trials(path: str | Path, trials: Iterable[Trial]) -> None:
    """Writes all trials, replacing the file in one step and only once its bytes are on disk.

    The columns are those of `Trial.to_row`; a value that a trial lacks, and NaN, is an empty cell.

    Args:
        path: The CSV file.
        trials: In the order of the rows.
    """
    TrialsFile(path).write(trials)


class TrialsFile:
    """`trials.csv` of a run that goes on: written whole after every trial, but only what is new is put into words."""

    def __init__(self, path: str | Path) -> None:
        """Of a path, at which there may be a file, which is replaced."""
        self._path = Path(path)
        self._columns: tuple[str, ...] = ()
        self._lines: dict[int, tuple[Trial, str]] = {}

    def write(self, trials: Iterable[Trial]) -> None:
        """See `write_trials`."""
        trials = list(trials)
        rows = {index: trial.to_row() for index, trial in enumerate(trials) if self._is_new(trial)}
        if any(row.keys() - set(self._columns) for row in rows.values()):
            rows = {index: trial.to_row() for index, trial in enumerate(trials)}
            # Most trials lack columns, such as those of the report split: the fullest give the header its order.
            fullest_first = sorted(rows.values(), key=len, reverse=True)
            self._columns = tuple(dict.fromkeys(column for row in fullest_first for column in row))
        lines = []
        for index, trial in enumerate(trials):
            if index in rows:
                self._lines[trial.number] = trial, _line(rows[index].get(column, "") for column in self._columns)
            lines.append(self._lines[trial.number][1])
        with replacing(self._path) as file:
            file.writelines((_line(self._columns), *lines))

    def _is_new(self, trial: Trial) -> bool:
        return trial.number not in self._lines or self._lines[trial.number][0] is not trial


def _line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow("" if _is_nan(value) else value for value in values)
    return line.getvalue()


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
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, restval=""))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; a run writes it after its first trial.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}).") from None
    trials = []
    for position, row in enumerate(rows, start=1):
        try:
            trials.append(Trial.from_row(row))
        except KeyError as error:
            raise UserError(f"{path}: there is no column {error}; is this the trials.csv of a run?") from None
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: trial {position} of the file cannot be read ({error}).") from None
    return trials


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
