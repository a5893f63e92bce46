"""How a prompt is put through a chat template."""

from typing import Any

import pytest

from ama_ray.config import Chat
from ama_ray.data.prompting import Prompting
from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from tests.support.words import WordTokenizer

ROW = Row({}, "prompts.jsonl, line 1")


class Thinker(WordTokenizer):
    chat_template = "{{ enable_thinking }}"

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool, **kwargs: Any
    ) -> str:
        said = "".join(f"<{message['role']}> {message['content']} " for message in conversation)
        return said + ("<think>" if kwargs.get("enable_thinking", True) else "<think> </think>")


def text(prompt: Any, **settings: Any) -> str:
    tokenizer = Thinker()
    tokens = Prompting(tokenizer, Chat(chat=True, **settings)).tokens(prompt, ROW)
    return " ".join(tokenizer.words[token] for token in tokens)


def test_the_system_speaks_first_and_once() -> None:
    assert text("hi", system="be brief") == "<system> be brief <user> hi <think>"
    own = [{"role": "system", "content": "sing"}, {"role": "user", "content": "hi"}]
    assert text(own, system="be brief") == "<system> sing <user> hi <think>"


def test_the_template_is_told() -> None:
    told = {"enable_thinking": False}
    assert text("hi", chat_template_kwargs=told) == "<user> hi <think> </think>"
    for settings, always in (({}, True), ({"chat_template_kwargs": told}, False)):
        prompting = Prompting(Thinker(), Chat(chat=True, **settings))
        assert prompting.asked("hi", ROW)[1].always == always


def test_what_the_template_does_not_know_is_named() -> None:
    with pytest.raises(UserError, match=r"the pair's chat template knows no 'enable_thinkng'"):
        text("hi", chat_template_kwargs={"enable_thinkng": False})
