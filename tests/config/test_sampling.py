"""How replies are drawn, by the run file and by what it leaves to the checkpoint."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ama_ray.config.sampling import Chat, Drawing, Sampled, Sampling

SAMPLED: TypeAdapter[Sampling] = TypeAdapter(Sampled)
CHECKPOINT = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "eos_token_id": [1, 2]}


def resolved(fields: Any, checkpoint: dict[str, Any]) -> Sampling:
    return SAMPLED.validate_python(fields).resolved(checkpoint)


def test_what_is_left_out_is_the_checkpoint_s() -> None:
    assert resolved("checkpoint", CHECKPOINT) == Sampling(temperature=0.6, top_p=0.95, top_k=20)
    fields = {"defaults": "checkpoint", "top_p": 1.0, "max_tokens": 9, "stop": ["."], "n": 3}
    expected = Sampling(temperature=0.6, top_p=1, top_k=20, max_tokens=9, stop=(".",), n=3)
    assert resolved(fields, CHECKPOINT) == expected
    assert resolved("checkpoint", {"do_sample": False, "temperature": 0.6}).temperature == 0
    assert resolved("checkpoint", {}) == Sampling()


def test_without_that_word_the_checkpoint_changes_nothing() -> None:
    assert resolved({"n": 2}, CHECKPOINT) == Sampling(n=2)


def test_what_was_resolved_stays_as_it_is_read_again() -> None:
    first = resolved("checkpoint", CHECKPOINT)
    again = SAMPLED.validate_python(first.model_dump(mode="json", exclude_none=True))
    assert again == first
    assert again.resolved({"temperature": 2.0}) == first


def test_a_greedy_prompt_has_one_reply() -> None:
    assert (Drawing(n=4).replies, Drawing(n=4, temperature=0).replies) == (4, 1)


@pytest.mark.parametrize(
    "fields", [{"top_p": 0}, {"top_k": -1}, {"min_p": 2}, {"repetition_penalty": 0}, {"stop_token_ids": [-1]}, "other"]
)
def test_wrong_values_are_refused(fields: Any) -> None:
    with pytest.raises(ValidationError):
        SAMPLED.validate_python(fields)


def test_what_the_template_is_told_needs_the_template() -> None:
    with pytest.raises(ValidationError, match="set `chat: true`"):
        Chat(system="be brief")
    assert Chat(chat=True, system="be brief", chat_template_kwargs={"enable_thinking": False}).chat
