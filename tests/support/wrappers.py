"""Tiny random pairs of models of text and images, with files of a processor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
import transformers

from testing.checkpoints import VOCABULARY, word_tokenizer
from testing.families import LLAMA_4

if TYPE_CHECKING:
    from pathlib import Path

_TEXT: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_QWEN_VISION = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64}
_QWEN_TOKENS = {"image_token_id": 290, "video_token_id": 291, "vision_start_token_id": 292, "vision_end_token_id": 293}
_MROPE = {"rope_type": "default", "rope_theta": 1e4}
_VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
WRAPPERS: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": _QWEN_TOKENS
    | {
        "text_config": _TEXT | {"rope_parameters": _MROPE | {"mrope_section": [4, 6, 6]}},
        "vision_config": _QWEN_VISION | {"fullatt_block_indexes": [1]},
    },
    "qwen3_vl": _QWEN_TOKENS
    | {
        "text_config": _TEXT | {"rope_parameters": _MROPE | {"mrope_section": [6, 5, 5], "mrope_interleaved": True}},
        "vision_config": _QWEN_VISION | {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
    },
    "qwen3_5": _QWEN_TOKENS
    | {
        "text_config": _TEXT
        | {
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
            "linear_key_head_dim": 64,
            "linear_value_head_dim": 64,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "rope_parameters": _MROPE
            | {"mrope_section": [2, 1, 1], "mrope_interleaved": True, "partial_rotary_factor": 0.25},
        },
        "vision_config": _QWEN_VISION | {"num_position_embeddings": 16},
    },
    "gemma3": {
        "text_config": _TEXT | {"query_pre_attn_scalar": 32, "sliding_window": 64},
        "vision_config": _VISION | {"image_size": 28, "patch_size": 14, "vision_use_head": False},
        "mm_tokens_per_image": 4,
        "boi_token_index": 290,
        "eoi_token_index": 291,
        "image_token_index": 292,
    },
    "mistral3": {
        "text_config": _TEXT | {"model_type": "mistral", "sliding_window": None},
        "vision_config": _VISION | {"model_type": "pixtral", "image_size": 28, "patch_size": 14, "head_dim": 16},
        "image_token_index": 292,
        "tie_word_embeddings": False,
    },
    "gemma4": {
        "text_config": _TEXT
        | {
            "global_head_dim": 32,
            "hidden_size_per_layer_input": 32,
            "vocab_size_per_layer_input": 300,
            "layer_types": ["sliding_attention", "full_attention", "full_attention"],
            "sliding_window": 16,
        },
        "vision_config": _VISION | {"num_key_value_heads": 2, "head_dim": 16, "position_embedding_size": 16},
        "audio_config": None,
        "image_token_id": 292,
    },
    "llama4": {
        "text_config": _TEXT | LLAMA_4,
        "vision_config": _VISION
        | {
            "image_size": 28,
            "intermediate_size": 128,
            "vision_output_dim": 64,
            "projector_input_dim": 64,
            "projector_output_dim": 64,
        },
        "image_token_index": 292,
    },
    "ministral3": {
        "model_type": "mistral3",
        "text_config": _TEXT | {"model_type": "ministral3", "sliding_window": None},
        "vision_config": _VISION | {"model_type": "pixtral", "image_size": 28, "patch_size": 14, "head_dim": 16},
        "image_token_index": 292,
        "tie_word_embeddings": False,
    },
}
"""Fields of `config.json` by model type, or by the name of a family that has the model type of another one."""
_PROCESSORS = {
    "qwen2_5_vl": ("Qwen2VLImageProcessor", "Qwen2_5_VLProcessor"),
    "qwen3_vl": ("Qwen2VLImageProcessor", "Qwen3VLProcessor"),
    "qwen3_5": ("Qwen2VLImageProcessor", "Qwen3VLProcessor"),
    "gemma3": ("Gemma3ImageProcessor", "Gemma3Processor"),
    "mistral3": ("PixtralImageProcessor", "PixtralProcessor"),
    "gemma4": ("Gemma4ImageProcessor", "Gemma4Processor"),
    "llama4": ("Llama4ImageProcessorFast", "Llama4Processor"),
    "ministral3": ("PixtralImageProcessor", "PixtralProcessor"),
}


def make_wrapper_pair(folder: Path, name: str, *, dtype: torch.dtype = torch.float32) -> tuple[Path, Path]:
    """Writes `folder/base` and `folder/aligned`, which differ in all weights, norms and buffers too.

    Returns:
        The folders of base and of aligned.
    """
    config = transformers.CONFIG_MAPPING[WRAPPERS[name].get("model_type", name)](**WRAPPERS[name])
    image, processor = _PROCESSORS[name]
    paths = folder / "base", folder / "aligned"
    for number, path in enumerate(paths):
        generator = torch.Generator().manual_seed(number)
        torch.manual_seed(0)
        model = transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                drawn = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(tensor + 0.2 * drawn if tensor.ndim < 2 else 0.08 * drawn)
        model.to(dtype).save_pretrained(path)
        word_tokenizer().save_pretrained(path)
        fields = {"image_processor_type": image, "processor_class": processor, "size": {"longest_edge": 28}}
        (path / "preprocessor_config.json").write_text(json.dumps(fields), encoding="utf-8")
    return paths
