"""Chat templates of strangers: rendered as transformers does, and none takes all time or memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import Chat
from ama_ray.data.chat_template import render
from ama_ray.data.prompting import Prompting
from ama_ray.data.rows import Row
from ama_ray.data.turn_end import endless_turn
from ama_ray.processes.worker import end_workers
from testing.checkpoints import word_tokenizer
from tests.support.hostile import one_sentence, within

if TYPE_CHECKING:
    from collections.abc import Iterator

SAID = [{"role": "user", "content": "Is it so? \u00e9 \U0001f642"}, {"role": "assistant", "content": "It is."}]
PLAIN = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}{% if calm is defined %}{{ calm }}{% endif %}"
)
ENDLESS = {
    "a power": "{{ 7 ** (10 ** 9) }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 10 ** 10 }}",
    "much text": "{% for a in range(99999) %}" + "a" * 200 + "{% endfor %}",
    "a format": "{{ '%9999999999d' % 1 }}",
    "itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
}


@pytest.fixture(scope="module", autouse=True)
def processes() -> Iterator[None]:
    yield
    end_workers()


def with_template(template: str) -> Any:
    tokenizer = word_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    "told",
    [{}, {"add_generation_prompt": True}, {"continue_final_message": True}, {"calm": "yes", "bos_token": "other"}],
)
def test_a_conversation_is_what_transformers_makes_of_it(told: dict[str, Any]) -> None:
    tokenizer = with_template(PLAIN)
    assert render(tokenizer, SAID, **told) == tokenizer.apply_chat_template(SAID, tokenize=False, **told)


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_template_that_computes_without_end_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ama_ray.data.chat_template.SECONDS", 1.0)
    prompting = Prompting(with_template(ENDLESS[kind]), Chat(chat=True))
    with one_sentence("prompts.jsonl, line 1: the pair's chat template refuses this prompt"):
        prompting.tokens("hi", Row({}, "prompts.jsonl, line 1"))


def test_a_look_at_how_a_turn_ends_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ama_ray.data.chat_template.SECONDS", 1.0)
    with within(20):
        assert not endless_turn(with_template(ENDLESS["a power"]), ())
