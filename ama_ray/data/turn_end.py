"""How a chat template ends a turn of the assistant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.data.chat_template import render

if TYPE_CHECKING:
    from collections.abc import Collection

_REPLY = "Certainly so"


def endless_turn(tokenizer: Any, ends: Collection[int]) -> str:
    """What is to be said where a reply ends with a token at which nothing stops; else nothing.

    Args:
        tokenizer: Of transformers.
        ends: The tokens that end a reply.
    """
    if not tokenizer.chat_template:
        return ""
    conversation = [{"role": "user", "content": "Is it so?"}, {"role": "assistant", "content": _REPLY}]
    try:
        text = render(tokenizer, conversation, add_generation_prompt=False)
    except Exception:  # a template raises what it likes; that of a prompt is told where the prompt is read
        return ""
    _, found, behind = text.rpartition(_REPLY)
    tokens = tokenizer.encode(behind.lstrip(), add_special_tokens=False) if found else []
    if not tokens or tokens[0] in ends or tokens[0] not in tokenizer.added_tokens_decoder:
        return ""
    token = tokenizer.convert_ids_to_tokens(tokens[0])
    return (
        f"the chat template ends a turn with {token!r}, and no file of the pair names it as an end, so that no reply "
        "stops there; add its id to eos_token_id in aligned's generation_config.json, or make it the tokenizer's "
        "eos_token."
    )
