"""What base and aligned must have in common for their average to make sense; differences that do no harm are named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from ama_ray.checkpoints.checkpoint import Checkpoint, read_tensors
from ama_ray.checkpoints.parts import EMBEDDINGS, HEADS, find, is_tied, is_wrapper, text_fields
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_PART_IN_COMPUTATION = {
    *("transformers_version", "torch_dtype", "dtype", "use_cache", "cache_implementation", "transformers.js_config"),
    *("initializer_range", "attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout"),
    *("gradient_checkpointing", "output_attentions", "output_hidden_states", "output_router_logits", "return_dict"),
    *("gradient_checkpointing_kwargs", "neftune_noise_alpha", "keys_to_ignore_at_inference", "ep_size"),
    *("tokenizer_class", "auto_map", "torchscript", "chunk_size_feed_forward", "pretraining_tp", "problem_type"),
    *("attn_implementation", "use_flash_attn", "flash_attn", "use_bfloat16", "tf_legacy_loss"),
    *("model_max_length", "tokenizer_model_max_length", "padding_side", "tokenizer_padding_side", "prefix"),
    *("sep_token_id", "decoder_start_token_id"),
    *("num_labels", "id2label", "label2id", "finetuning_task", "task_specific_params", "layerdrop"),
    *("router_aux_loss_coef", "router_jitter_noise", "router_z_loss_coef", "aux_loss_alpha", "seq_aux"),
    "max_window_layers",  # which layers have a window is in layer_types
    *("summary_type", "summary_use_proj", "summary_activation"),
    *("summary_proj_to_labels", "summary_first_dropout", "classifier_dropout", "classifier_dropout_prob"),
}
"""Fields that say how a model was trained, is loaded, or is used for another task."""
_MARKS = ("_name_or_path", "_commit_hash", "_attn_implementation", "_flash_attn", "unsloth_")
"""How fields begin that programs leave for themselves: `unsloth_fixed`, `_attn_implementation_autoset`."""
_ALIGNED_IS_USED = {
    *("bos_token_id", "pad_token_id", "max_position_embeddings"),
    *("num_nextn_predict_layers", "mtp_num_hidden_layers"),  # of layers that do not run in a search
}
_SAID_ELSEWHERE = {"eos_token_id", "vocab_size", "tie_word_embeddings"}
"""Fields whose differences `ama_ray.checkpoints.generation` and `ama_ray.checkpoints.fitting` speak of."""
_SYNONYMS = {"swish": "silu"}


def compare_configs(folders: list[Path], configs: list[dict[str, Any]]) -> Iterator[str]:
    """Refuses configurations that compute differently; yields what else differs, one sentence each."""
    from transformers import CONFIG_MAPPING

    base, aligned = configs
    names = f"{folders[0]} and {folders[1]}"
    if is_wrapper(base) != is_wrapper(aligned):
        # The part for text of the one is what the other one is.
        base, aligned = ({**text_fields(each), "architectures": None} for each in configs)
    for field in ("model_type", "architectures"):
        if base.get(field) != aligned.get(field):
            raise UserError(
                f"{names}: {field} in config.json differs ({base.get(field)}, {aligned.get(field)}); "
                "only two checkpoints of one architecture can be averaged."
            )
    # Then what the class has is there on both sides, with its defaults.
    is_known = base.get("model_type") in CONFIG_MAPPING
    for field, ours, theirs in _differences(base, aligned, is_known=is_known):
        name = field.rpartition(".")[2]
        if name in _SAID_ELSEWHERE:
            continue
        if name not in _ALIGNED_IS_USED:
            raise UserError(
                f"{names}: {field} in config.json differs ({ours!r}, {theirs!r}), so they compute differently; "
                "use a base that aligned was trained from."
            )
        yield f"config.json: {field} differs (base {ours!r}, aligned {theirs!r}); aligned's is used."


def _differences(
    base: dict[str, Any], aligned: dict[str, Any], prefix: str = "", *, is_known: bool
) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted((base.keys() | aligned.keys()) - _NO_PART_IN_COMPUTATION, key=str):
        if str(key).startswith(_MARKS):
            continue
        ours, theirs = base.get(key), aligned.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from _differences(ours, theirs, f"{prefix}{key}.", is_known=is_known)
        elif _plain(ours) != _plain(theirs) and not (
            is_known and (key in base) != (key in aligned) and _is_off(ours) and _is_off(theirs)
        ):
            yield prefix + key, ours, theirs


def _is_off(value: Any) -> bool:
    """Whether a field that no class knows says what leaving it out says: `use_mrope: false` of a model without it."""
    return value is None or value is False or value in ("", [], {})


def _plain(value: Any) -> Any:
    return _SYNONYMS.get(value, value) if isinstance(value, str) else value


def whole_of(source: str, folder: Path, config: dict[str, Any]) -> Checkpoint:
    """A checkpoint with weights of its own, which are fetched now.

    Args:
        source: Folder or hub id.
        folder: The folder.
        config: Its configuration, as transformers reads it.
    """
    return without_tied_copy(Checkpoint(folder, read_tensors(source), config))


def without_tied_copy(checkpoint: Checkpoint) -> Checkpoint:
    """Leaves out the copy of the embedding that some writers store as the output head."""
    tensors = checkpoint.tensors
    head, embedding = (find(checkpoint.searched, ends) for ends in (HEADS, EMBEDDINGS))
    if not (is_tied(checkpoint.config) and head and embedding):
        return checkpoint
    stored = []
    for name in (head, embedding):
        with safe_open(tensors[name].file, "pt") as file:
            stored.append(file.get_tensor(name))
    if not torch.equal(*stored):
        if is_wrapper(checkpoint.config):
            # Its parts often disagree, and programs take such a head for untied; the deep check sees what vLLM does.
            return checkpoint
        raise UserError(
            f"{tensors[head].file}: {head} differs from {embedding}, though config.json has tie_word_embeddings: true; "
            "set it to false there, or save the checkpoint again with save_pretrained."
        )
    return replace(checkpoint, tensors={name: info for name, info in tensors.items() if name != head})


def compare_headers(base: Checkpoint, aligned: Checkpoint) -> Iterator[str]:
    """Refuses tensors that are not in both, or differ in shape; yields how many are converted to another dtype."""
    for here, there in ((base, aligned), (aligned, base)):
        if missing := [name for name in here.tensors if name not in there.tensors]:
            first = missing[0] if len(missing) == 1 else f"{missing[0]} and {len(missing) - 1} more"
            raise UserError(
                f"{there.folder}: {first} {'is' if len(missing) == 1 else 'are'} missing and stored in {here.folder}; "
                "use two checkpoints of one architecture."
            )
    other_dtype = []
    for name, info in aligned.tensors.items():
        other = base.tensors[name]
        if other.shape != info.shape:
            raise UserError(
                f"{name}: the shape differs, {list(other.shape)} in {other.file} and {list(info.shape)} in "
                f"{info.file}; use two checkpoints of one size and vocabulary."
            )
        if other.dtype != info.dtype:
            if not (other.dtype.is_floating_point and info.dtype.is_floating_point):
                raise UserError(
                    f"{name}: {dtype_name(other.dtype)} in {other.file} and {dtype_name(info.dtype)} in {info.file} "
                    "cannot be averaged; save both in one dtype."
                )
            other_dtype.append(name)
    if other_dtype:
        first = other_dtype[0]
        yield (
            f"{len(other_dtype)} tensors of base are converted to aligned's dtype, first {first} from "
            f"{dtype_name(base.tensors[first].dtype)} to {dtype_name(aligned.tensors[first].dtype)}."
        )
    if told := _mixed(aligned):
        yield told


def _mixed(aligned: Checkpoint) -> str:
    """What is to be said of tensors that are in a wider precision than most."""
    floats = {name: info.dtype for name, info in aligned.tensors.items() if info.dtype.is_floating_point}
    usual = max(set(floats.values()), key=list(floats.values()).count)
    wider = [name for name, dtype in floats.items() if dtype.itemsize > usual.itemsize]
    if not wider:
        return ""
    others = f" and {len(wider) - 1} other tensors" if len(wider) > 1 else ""
    return (
        f"aligned has {wider[0]}{others} in {dtype_name(floats[wider[0]])} and most in {dtype_name(usual)}: an engine "
        f"in {dtype_name(usual)} rounds them, and a merge on disk keeps them; engine.dtype: float32 rounds nothing."
    )


def dtype_name(dtype: torch.dtype) -> str:
    """As users know it: `bfloat16`."""
    return str(dtype).removeprefix("torch.")
