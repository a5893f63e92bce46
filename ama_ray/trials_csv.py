"""`trials.csv`: one row per trial, written whole and atomically, so that a killed run leaves a readable file."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterable


def write_trials(path: str | Path, trials: Iterable[Trial]) -> None:
    """Writes all trials, replacing the file in one step and only once its bytes are on disk.

    The columns are those of `Trial.to_row`; a value that a trial lacks, and NaN, is an empty cell. Call it with every
    trial so far after each one: a thousand trials take a few hundredths of a second.

    Args:
        path: The CSV file.
        trials: In the order of the rows.
    """
    path = Path(path)
    rows = [trial.to_row() for trial in trials]
    # Most trials lack columns, such as those of the report split: the fullest give the header its order.
    fullest_first = sorted(rows, key=len, reverse=True)
    columns = list(dict.fromkeys(column for row in fullest_first for column in row))
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({key: "" if _is_nan(value) else value for key, value in row.items()} for row in rows)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


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
