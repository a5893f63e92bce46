"""Whether a checkpoint has the tensors of its architecture, by transformers' own class, built without memory."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from ama_ray.checkpoints.parts import unwrapped
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.checkpoints.checkpoint import Checkpoint

_OTHER_HEADS = re.compile(r"(score|classifier|value_head|reward_head|regression_head)\.")
"""How the tensors of heads begin that language models are given for rewards and for values."""


def check_complete(checkpoint: Checkpoint) -> None:
    """Refuses a checkpoint without a tensor that its architecture needs: an engine would compute with what lies there.

    So is one with the head of another task, at which vLLM does not start. A tensor that may be stored under a name that
    transformers does not write is not missed: there is one left over of its shape.

    Args:
        checkpoint: With whole weights, of an architecture that transformers may know or not.

    Raises:
        UserError: It lacks some, or has such a head; names the first.
    """
    needed = _parameters(checkpoint.config)
    architecture = (checkpoint.config.get("architectures") or [""])[0]
    if needed and (head := next((n for n in checkpoint.tensors if _OTHER_HEADS.match(n) and n not in needed), "")):
        raise UserError(
            f"{checkpoint.folder}: {head} is of a head for rewards or values, and {architecture} has none; load it as "
            f"{architecture}, which leaves the head out, and save it again with save_pretrained."
        )
    stored = {unwrapped(name): shape for name, shape in checkpoint.shapes.items()}
    missing = [name for name in needed if unwrapped(name) not in stored]
    if not missing:
        return
    known = {unwrapped(name) for name in needed}
    spare = Counter(shape for name, shape in stored.items() if name not in known)
    lost = [name for name in missing if not spare[needed[name]]]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise UserError(
            f"{checkpoint.folder}: {lost[0]}{more} {'are' if more else 'is'} not there, and "
            f"{architecture} needs {'them' if more else 'it'}; copy or download the checkpoint again, or save it again "
            "with save_pretrained."
        )


def _parameters(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters that transformers stores for a configuration; none where it knows no class.

    Of tied ones it stores one.
    """
    import torch
    import transformers
    from transformers.core_model_loading import revert_weight_conversion

    architecture, model_type = (config.get("architectures") or [""])[0], config.get("model_type")
    model_class = getattr(transformers, architecture, None)
    if model_class is None or model_type not in transformers.CONFIG_MAPPING:
        return {}
    with torch.device("meta"):
        model = model_class(transformers.CONFIG_MAPPING[model_type].from_dict(config))
    own = {name: tensor for name, tensor in model.named_parameters() if name not in model.all_tied_weights_keys}
    return {name: tuple(tensor.shape) for name, tensor in revert_weight_conversion(model, own).items()}
