"""The text of a conversation, by the chat template of a checkpoint."""

from __future__ import annotations

from typing import Any

from ama_ray.processes.worker import Function, call

SECONDS = 20.0
"""For one conversation; the templates that are known take milliseconds."""
_RENDERED = Function(f"{__package__}.template_calls:rendered")
_OF_TRANSFORMERS = "transformers.tokenization_utils_base"


def render(tokenizer: Any, conversation: list[dict[str, Any]], **told: Any) -> str:
    """The text of a conversation, as `tokenizer.apply_chat_template` makes it.

    A template comes with a checkpoint and may loop without end or fill the memory, though it cannot do more than
    compute. So it runs in a process of its own, with a limit on time, memory and output.

    Args:
        tokenizer: With a chat template, or with code of its own in the place of one.
        conversation: Its messages (`role`, `content`).
        told: For the template.

    Raises:
        CallError: The template refuses the conversation, or goes beyond a limit.
        Exception: What code in the place of a template raises.
    """
    if type(tokenizer).apply_chat_template.__module__ != _OF_TRANSFORMERS:
        return str(tokenizer.apply_chat_template(conversation, tokenize=False, **told))
    template = tokenizer.get_chat_template()
    numbers = call(_RENDERED, template, conversation, {**tokenizer.special_tokens_map, **told}, timeout=SECONDS)
    return bytes(map(int, numbers)).decode("utf-8", "surrogatepass")
