"""A stand-in for Tune's own trial object."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TuneTrial:
    """What the recorder reads of Tune's own trial object."""

    config: dict[str, Any]
    last_result: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def pickled_error_file(self) -> str | None:
        if self.error is None:
            return None
        with tempfile.NamedTemporaryFile(delete=False) as file:
            pickle.dump(self.error, file)
        return file.name
