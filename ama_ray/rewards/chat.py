"""Prompts of a reward as conversations, for reward models and judges that see the whole of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError

if TYPE_CHECKING:
    from ama_ray.data.rows import Row

ChatMessage = dict[str, str]


def messages(row: Row, field: str) -> list[ChatMessage]:
    """The prompt of a row as messages (`role`, `content`); a text is one message of the user.

    Of the turns of MT-bench (texts) and of Arena-Hard (objects with `content`), the first is such a text.

    Raises:
        UserError: It is missing, or neither text nor a list of messages or turns.
    """
    prompt = _first_turn(row.get(field))
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list) or not all(_is_message(message) for message in prompt):
        raise UserError(f"{row.where}: the field {field!r} must be text, or a list of messages with role and content.")
    return prompt


def as_text(row: Row, field: str) -> str:
    """The prompt of a row as text: a text as it is, messages each after the name of its role.

    Raises:
        UserError: It is missing, or neither text nor a list of messages.
    """
    prompt = messages(row, field)
    if isinstance(_first_turn(row.get(field)), str):
        return prompt[0]["content"]
    return "\n\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in prompt)


def _first_turn(prompt: Any) -> Any:
    first = prompt[0] if isinstance(prompt, list) and prompt else None
    if isinstance(first, dict) and first.keys() == {"content"}:
        first = first["content"]
    return first if isinstance(first, str) else prompt


def _is_message(message: object) -> bool:
    return isinstance(message, dict) and all(isinstance(message.get(key), str) for key in ("role", "content"))
