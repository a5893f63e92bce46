"""Tiny random reward models, and what plain transformers say of texts, one at a time. Must not import vllm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tokenizers
import torch
import transformers

from testing.checkpoints import VOCABULARY

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = "{% for message in messages %}<s> {{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
PADDED = TEMPLATE + "<pad>"
"""Ends with the padding token, at which transformers does not read the score."""

_SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
_FIELDS: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 1, "max_position_embeddings": 64},
    "qwen3": {"num_key_value_heads": 1, "max_position_embeddings": 64, "head_dim": 32},
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 64, "max_position_embeddings": 64},
    "roberta": {"max_position_embeddings": 66},
    # vLLM does not serve this one.
    "deberta-v2": {"max_position_embeddings": 64, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
}


def make_classifier(
    folder: Path, architecture: str = "llama", template: str | None = TEMPLATE, outputs: int = 1, **fields: Any
) -> Path:
    """Writes a random sequence classifier with its tokenizer; its scores are spread over about one point."""
    config = transformers.CONFIG_MAPPING[architecture](
        **{"vocab_size": 300, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "num_labels": outputs}
        | _SMALL
        | _FIELDS[architecture]
        | fields
    )
    model = transformers.AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1 + float(parameter.ndim == 1))
    model.save_pretrained(folder)
    save_tokenizer(folder, template)
    return folder


def save_tokenizer(folder: Path, template: str | None, vocabulary: dict[str, int] = VOCABULARY) -> None:
    """Writes a tokenizer of whole words, `<s>` in front of every text."""
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


def score(folder: Path, texts: list[str], *, special: bool) -> list[float]:
    """The raw scores of texts, one at a time, without a padding token in sight.

    Args:
        folder: The reward model.
        texts: Whole conversations.
        special: Whether the tokenizer is to add special tokens.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        encoded = (tokenizer(text, add_special_tokens=special, return_tensors="pt") for text in texts)
        return [model(**tokens).logits.item() for tokens in encoded]
