"""How the server of a judge wants to be asked, which it tells by what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import APIStatusError

    from ama_ray.config import Judge

FORMS = ("schema", "tool", "text")
"""In which an answer is asked for: JSON of a schema, the arguments of a tool, or text; servers offer some of them."""
_TOOL = "verdict"
_NEVER = (401, 403, 429)
"""Statuses that say nothing of how a question was put."""


@dataclass
class Dialect:
    """What is known of a server.

    Attributes:
        form: One of `FORMS`.
        limit: What the field is called that limits the answer.
        left_out: Fields that the server refuses.
        settled: Whether a mark was read in this form, so that it is kept.
        version: Goes up with every change.
    """

    form: str = FORMS[0]
    limit: str = "max_tokens"
    left_out: set[str] = field(default_factory=set)
    settled: bool = False
    version: int = 0

    def request(self, settings: Judge, messages: list[dict[str, str]], scale: tuple[float, float]) -> dict[str, Any]:
        """The fields of a request.

        Args:
            settings: Of the run file.
            messages: The conversation so far; the last one asks for the mark.
            scale: The lowest and the highest mark.
        """
        fields = {"model": settings.model, "messages": messages, self.limit: settings.max_tokens}
        fields |= {name: 0 for name in ("temperature", "seed") if name not in self.left_out}
        # Who words the question may want a reason before the mark.
        schema = _schema(scale, with_reason=settings.template is not None)
        if self.form == "schema":
            form = {"name": _TOOL, "strict": True, "schema": schema}
            fields["response_format"] = {"type": "json_schema", "json_schema": form}
        elif self.form == "tool":
            fields["tools"] = [{"type": "function", "function": {"name": _TOOL, "parameters": schema}}]
            fields["tool_choice"] = {"type": "function", "function": {"name": _TOOL}}
        return fields

    def learn(self, refusal: APIStatusError, version: int) -> bool:
        """Makes the next request otherwise than one that was refused.

        Args:
            refusal: The server's.
            version: Of the dialect in which it was asked.

        Returns:
            Whether to ask again.
        """
        if version != self.version:
            return True  # something has been learnt since
        said = refusal.message.lower()
        if "max_tokens" in said and self.limit == "max_tokens":
            self.limit = "max_completion_tokens"
        elif refused := next((name for name in ("temperature", "seed") if name in said and self._sends(name)), None):
            self.left_out.add(refused)
        else:
            return refusal.status_code not in _NEVER and self.next_form(version)
        self.version += 1
        return True

    def next_form(self, version: int) -> bool:
        """Takes the next form, unless one is settled.

        Returns:
            Whether to ask again.
        """
        if version != self.version:
            return True
        if self.settled or self.form == FORMS[-1]:
            return False
        self.form = FORMS[FORMS.index(self.form) + 1]
        self.version += 1
        return True

    def start_again(self) -> None:
        """Goes back to the first form, and keeps what the server refuses."""
        self.form = FORMS[0]
        self.version += 1

    def _sends(self, name: str) -> bool:
        return name not in self.left_out


def _schema(scale: tuple[float, float], *, with_reason: bool) -> dict[str, Any]:
    low, high = scale
    score = {"type": "number", "description": f"the mark, from {low:g} to {high:g}"}
    properties = ({"reason": {"type": "string"}} if with_reason else {}) | {"score": score}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def answer_of(completion: Any) -> str:
    """The text of an answer, or of the arguments of the tool that it calls."""
    message = completion.choices[0].message
    if calls := getattr(message, "tool_calls", None):
        arguments = calls[0].function.arguments
        return arguments if isinstance(arguments, str) else json.dumps(arguments)
    return message.content or ""
