"""Tiny random checkpoints of every architecture that ama_ray names. Must not import vllm, which alters transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "phi3", "gpt_neox", "opt", "gpt2", "mixtral")
LORA: dict[str, Any] = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"]}
"""The settings of a plain LoRA adapter."""
VOCABULARY = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3} | {f"w{i}": i for i in range(4, 300)}

_HEADS = {"num_attention_heads": 2, "max_position_embeddings": 128, "hidden_size": 64}
_LLAMA: dict[str, Any] = _HEADS | {"intermediate_size": 96, "num_key_value_heads": 1}
_FIELDS: dict[str, dict[str, Any]] = {
    "llama": _LLAMA,
    "mistral": _LLAMA | {"sliding_window": None},
    "qwen2": _LLAMA,
    "qwen3": _LLAMA | {"head_dim": 32},
    "gemma2": _LLAMA | {"head_dim": 32, "query_pre_attn_scalar": 32},
    "phi3": _LLAMA,
    "gpt_neox": _HEADS | {"intermediate_size": 96},
    "opt": _HEADS | {"ffn_dim": 96, "word_embed_proj_dim": 64},
    "gpt2": {"n_embd": 64, "n_head": 2, "n_positions": 128},
    "gemma4_text": _LLAMA
    | {"head_dim": 32, "global_head_dim": 32, "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 300},
    "mixtral": _LLAMA | {"num_local_experts": 4, "sliding_window": None},
}


def make_pair(
    folder: Path,
    architecture: str = "llama",
    layers: int = 4,
    tied: bool = False,
    *,
    dtype: torch.dtype = torch.float32,
    max_shard_size: str | None = None,
    seed: int = 0,
) -> tuple[Path, Path]:
    """Writes `folder/base` and `folder/aligned`: hidden size 64, 300 words, weights drawn from `seed`.

    Returns:
        The folders of base and of aligned.
    """
    config = transformers.CONFIG_MAPPING[architecture](
        vocab_size=300,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=tied,
        **{"n_layer" if architecture == "gpt2" else "num_hidden_layers": layers},
        **_FIELDS[architecture],
    )
    paths = folder / "base", folder / "aligned"
    for number, path in enumerate(paths):
        generator = torch.Generator().manual_seed(seed + number)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                # Gemma adds one to the weight of a norm itself.
                scales = parameter.ndim == 1 and "norm" in name and "bias" not in name and architecture != "gemma2"
                spread = 0.08 if parameter.ndim > 1 else 0.2
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread + float(scales))
        model.to(dtype).save_pretrained(path, **({"max_shard_size": max_shard_size} if max_shard_size else {}))
        word_tokenizer().save_pretrained(path)
    return paths


def copied(source: Path, target: Path) -> tuple[Path, Path]:
    """Copies a pair, to be spoilt."""
    for name in ("base", "aligned"):
        shutil.copytree(source / name, target / name)
    return target / "base", target / "aligned"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the fields of a JSON file."""
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Changes the tensors of a checkpoint of one file."""
    # Copies, as the file that the tensors are mapped from is written over.
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def stored(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, from all of its files."""
    return {name: t for file in sorted(folder.glob("*.safetensors")) for name, t in load_file(file).items()}


def write_adapter(
    base: Path, folder: Path, *tokens: str, auto: Any = transformers.AutoModelForCausalLM, **settings: Any
) -> dict[str, torch.Tensor]:
    """Writes a random LoRA adapter over a checkpoint.

    Args:
        base: Folder of the checkpoint.
        folder: To write.
        tokens: What it adds to the vocabulary, with embedding and head trained whole.
        auto: What loads the checkpoint.
        settings: Of `peft.LoraConfig`.

    Returns:
        The weights of PEFT's own merge.
    """
    import peft

    torch.manual_seed(0)
    model = auto.from_pretrained(base)
    if tokens:
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
        tokenizer.save_pretrained(folder)
        model.resize_token_embeddings(len(tokenizer))
        settings |= {"modules_to_save": ["embed_tokens", "lm_head"]}
    config = peft.LoraConfig(task_type="CAUSAL_LM", **settings)
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape) * 0.1)
    adapted.save_pretrained(folder)
    merged: dict[str, torch.Tensor] = adapted.merge_and_unload().state_dict()
    return merged


def add_tokens(
    folder: Path, *tokens: str, multiple_of: int | None = None, auto: Any = transformers.AutoModelForCausalLM
) -> None:
    """Gives a checkpoint of one file more tokens and rows of embeddings for them, as trainers do."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    tokenizer.save_pretrained(folder)
    model = auto.from_pretrained(folder)
    torch.manual_seed(0)
    model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=multiple_of)
    model.save_pretrained(folder)


def word_tokenizer() -> Any:
    """A tokenizer of whole words, `w4` to `w299`, and four special tokens; it adds none to a text."""
    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    )
