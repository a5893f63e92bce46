"""How replies are drawn, and how prompts are put to a model: what rewards and probes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ama_ray.config.fields import Called, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKPOINT = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""What `generation_config.json` may say of sampling."""


class Drawing(Model):
    """How replies are drawn. Every trial uses the same seed for the same prompt.

    `sampling: checkpoint` takes what aligned's `generation_config.json` says of temperature, top_p, top_k, min_p and
    repetition_penalty; `{defaults: checkpoint, n: 4}` does, and changes something. What that file does not say, and
    `eos_token_id`, are as without. At temperature 0 there is one reply, whatever `n` is.
    """

    temperature: float = Field(1.0, ge=0, description="0 is greedy")
    n: int = Field(1, ge=1, description="replies per prompt")
    top_p: float = Field(1.0, gt=0, le=1, description="the likeliest tokens that have this much probability together")
    top_k: int = Field(0, ge=0, description="so many of the likeliest tokens; 0 is all")
    min_p: float = Field(0.0, ge=0, le=1, description="tokens with this share of the likeliest one's probability")
    repetition_penalty: float = Field(1.0, gt=0, description="above 1 against tokens that stand there already")
    stop_token_ids: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="tokens that end a reply, besides the checkpoint's own"
    )
    seed: int | None = Field(None, ge=0, lt=2**32, description="default: the run's")
    defaults: Literal["checkpoint"] | None = Field(None, description="where what is left out comes from")

    @property
    def replies(self) -> int:
        """How many replies there are to a prompt: one where it is greedy."""
        return self.n if self.temperature > 0 else 1

    def resolved(self, checkpoint: Mapping[str, Any]) -> Self:
        """The same with what it leaves to a checkpoint.

        Args:
            checkpoint: What aligned's `generation_config.json` has in it.
        """
        if self.defaults is None:
            return self
        known = {name: checkpoint[name] for name in CHECKPOINT if checkpoint.get(name) is not None}
        if checkpoint.get("do_sample") is False:
            known["temperature"] = 0.0
        return type(self).model_validate(known | self.model_dump(include=self.model_fields_set - {"defaults"}))


class Sampling(Drawing):
    """How replies are sampled."""

    max_tokens: int = Field(64, ge=1, description="most tokens of a reply, those of its thinking included")
    stop: tuple[str, ...] = Field((), description="texts that end a reply; not in its thinking")


def from_checkpoint(value: Any) -> Any:
    """Reads `checkpoint` in the place of a `Drawing`."""
    return {"defaults": "checkpoint"} if value == "checkpoint" else value


Drawn = Annotated[
    Drawing,
    BeforeValidator(from_checkpoint, json_schema_input_type=Literal["checkpoint"] | Drawing),
    Called("`checkpoint` or [fields](#sampling-of-probes)"),
]
Sampled = Annotated[
    Sampling,
    BeforeValidator(from_checkpoint, json_schema_input_type=Literal["checkpoint"] | Sampling),
    Called("`checkpoint` or [fields](#sampling)"),
]


class Chat(Model):
    """How a prompt is put to the model, and where the answer begins in what the model says.

    Models that think say their answer after it. Only the answer is graded; a reply that ends before it has begun is
    wrong, and is counted. A reply thinks where `<think>` stands in it or ends its prompt (or the like: the tokenizer
    tells), up to `</think>`. With `answer_after`, every reply has to say that text.
    """

    chat: bool = Field(False, description="apply the pair's chat template")
    system: str | None = Field(None, description="with `chat`, a message of the system in front of every prompt")
    chat_template_kwargs: dict[str, Any] = Field(
        {}, description="with `chat`, what the template is told besides, as `{enable_thinking: false}`"
    )
    answer_after: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="the text that the answer comes after; default: the tokenizer's own end of thinking"
    )

    @model_validator(mode="after")
    def _template_is_applied(self) -> Self:
        if not self.chat and (self.system is not None or self.chat_template_kwargs):
            raise ValueError("system and chat_template_kwargs are for the chat template; set `chat: true`")
        return self
