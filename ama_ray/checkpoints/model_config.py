"""Reading `config.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.json_file import read_json
from ama_ray.checkpoints.lora import is_adapter
from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from pathlib import Path


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` as transformers reads it, so that a default left out and one written down are the same.

    Raises:
        UserError: It is missing, invalid, of a quantised model, or of another transformers than is here.
    """
    from transformers import CONFIG_MAPPING

    path = folder / "config.json"
    if is_adapter(folder):
        raise UserError(f"{folder}: this is a LoRA adapter; only aligned may be one, over the base that is named.")
    fields = {name: _with_special_floats(value) for name, value in read_json(path).items()}
    if fields.get("quantization_config"):
        raise UserError(
            f"{path}: quantization_config: quantised weights cannot be averaged; "
            "use the checkpoint from before quantisation."
        )
    model_type = fields.get("model_type")
    if not isinstance(model_type, str | None):
        raise UserError(f"{path}: model_type: {model_type!r:.80} is no name; copy or download it again.")
    if model_type not in CONFIG_MAPPING:
        return fields
    try:
        config: dict[str, Any] = CONFIG_MAPPING[model_type].from_dict(fields).to_dict()
    except Exception as error:  # of what a field is, each class of transformers makes its own
        raise UserError(f"{path}: transformers cannot read it ({one_line(error)}){_written_by(fields)}.") from None
    return config


def _with_special_floats(value: Any) -> Any:
    """Undoes how transformers writes numbers that JSON has not: `{"__float__": "Infinity"}`."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"}:
            try:
                return float(value["__float__"])
            except (TypeError, ValueError):
                return value
        return {key: _with_special_floats(each) for key, each in value.items()}
    return [_with_special_floats(each) for each in value] if isinstance(value, list) else value


def _written_by(fields: dict[str, Any]) -> str:
    from transformers import __version__

    theirs = fields.get("transformers_version")
    return f"; it was written by transformers {theirs}, and here is {__version__}" if theirs else ""
