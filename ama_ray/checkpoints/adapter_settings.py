"""What the configuration of a LoRA adapter says, and what of it cannot be followed."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.json_file import read_json
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG = "adapter_config.json"
MERGE = "merge it into its model with peft's merge_and_unload and name that folder"
_PATTERNS = ("rank_pattern", "alpha_pattern")
LONGEST = 1000
"""Characters of a pattern."""
_REPEATED, _REPEATED_GROUP = re.compile(r"[*+{]"), re.compile(r"\)[*+{]")
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of `init_lora_weights` that leave the weights of base as they are."""
_READ = {
    *("peft_type", "bias", "init_lora_weights", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora"),
    "use_dora",
}
_NO_PART_IN_THE_MERGE = {
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"),
    *("target_modules", "exclude_modules", "lora_dropout", "modules_to_save", "layers_to_transform", "layers_pattern"),
    *("megatron_core", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config"),
    *("qalora_group_size", "ensure_weight_tying"),
    "fan_in_fan_out",  # PEFT itself goes by the kind of each layer, as `ama_ray.checkpoints.lora` does
}


def read_settings(path: Path) -> dict[str, Any]:
    """The fields of a configuration.

    Args:
        path: The file.

    Raises:
        UserError: It is damaged, or of more than a LoRA adapter that can be applied tensor by tensor.
    """
    settings = read_json(path)
    odd = [field for field in settings.keys() - _READ - _NO_PART_IN_THE_MERGE if settings[field]]
    if settings.get("bias", "none") != "none":
        odd.append("bias")
    if settings.get("init_lora_weights", True) not in _PLAIN_STARTS:
        odd.append("init_lora_weights")
    if settings.get("peft_type") != "LORA":
        odd.append("peft_type")
    if odd:
        field = "peft_type" if "peft_type" in odd else min(odd)
        raise UserError(f"{path}: {field}: {settings.get(field)} is more than a plain LoRA adapter; {MERGE}.")
    for field in _PATTERNS:
        if not isinstance(found := settings.get(field) or {}, dict):
            raise UserError(f"{path}: {field}: {found} has no number for each pattern; copy or download it again.")
    for field, number in _numbers(settings):
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            raise UserError(f"{path}: {field}: {number} is not a number above 0; copy or download it again.")
    for field in _PATTERNS:
        for pattern in settings.get(field) or {}:
            if why := _why_no_pattern(pattern):
                raise UserError(f"{path}: {field}: {pattern:.200} {why}; {MERGE}.")
    return settings


def _why_no_pattern(pattern: str) -> str:
    """Why names of modules are not to be matched with a pattern; empty where they may be.

    Python tries every way in which a group can be repeated, or several repetitions can share a text; an end of that is
    not to be waited for.
    """
    if len(pattern) > LONGEST or _REPEATED_GROUP.search(pattern) or len(_REPEATED.findall(pattern)) > 3:
        return "repeats a group, or more than three parts, and could take for ever to match"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return "is no regular expression"
    return ""


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in ("r", "lora_alpha"):
        yield field, settings.get(field)
    for field in _PATTERNS:
        yield from ((field, each) for each in (settings.get(field) or {}).values())


def other_base(folder: Path, base: str) -> str:
    """What is to be said where an adapter was trained over a model of another name than base; else nothing.

    Args:
        folder: Of the adapter.
        base: Folder or hub id of base, as it was given.

    Raises:
        UserError: Its configuration holds no JSON object.
    """
    named = read_json(folder / CONFIG).get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        return ""
    is_same = Path(named).name.lower() == Path(base.partition("@")[0]).name.lower()
    if is_same or f"models--{named.replace('/', '--')}/" in base:
        return ""
    return (
        f"{folder / CONFIG}: base_model_name_or_path is {named}, and base is {base}; if that is another model of the "
        "same shapes, the adapter makes no sense over it."
    )
