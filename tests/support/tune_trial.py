"""A stand-in for Tune's own trial object."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class TuneTrial:
    """What the recorder reads of Tune's own trial object."""

    config: dict[str, Any]
    last_result: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    run_metadata: Any = field(
        default_factory=lambda: SimpleNamespace(
            metric_analysis={"tax": {"max": 1.0}}, metric_n_steps={"tax": {"5": [1.0]}}
        )
    )
    evaluated_params: dict[str, Any] = field(default_factory=dict)
    _default_result_or_future: Any = "a reference into the object store"

    @property
    def pickled_error_file(self) -> str | None:
        if self.error is None:
            return None
        with tempfile.NamedTemporaryFile(delete=False) as file:
            pickle.dump(self.error, file)
        return file.name
