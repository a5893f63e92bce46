"""Reading configurations and tokenizers with transformers without importing what runs its models."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

_WITHOUT_TORCH = ("transformers.utils.type_validators", "transformers.models.auto.auto_factory")
"""Each imports, where there is PyTorch, all that generates text, scikit-learn and pandas among it: for the names of
activations, and for a class that is mixed into models of remote code, of which there are none here."""


@cache
def import_light() -> None:
    """Imports transformers as far as configurations and tokenizers need it, in a fifth of the time.

    Called before the first of them is read. Where more of transformers is imported already, nothing changes.
    """
    import_module("transformers.models.auto.configuration_auto")
    utils: Any = import_module("transformers.utils")
    import_utils: Any = import_module("transformers.utils.import_utils")
    before = import_utils.is_torch_available
    utils.is_torch_available = import_utils.is_torch_available = lambda: False
    try:
        for name in _WITHOUT_TORCH:
            import_module(name)
    finally:
        utils.is_torch_available = import_utils.is_torch_available = before
