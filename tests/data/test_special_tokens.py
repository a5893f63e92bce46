"""From text to token ids: one beginning token, and no end token behind what is to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tokenizers import processors

from ama_ray.config import Chat
from ama_ray.data.prompting import Prompting
from ama_ray.data.rows import Row
from testing.checkpoints import word_tokenizer

if TYPE_CHECKING:
    import transformers

ROW = Row({}, "the row")
BOS, EOS = 1, 2


def adding(pattern: str) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer that puts special tokens around texts: `pattern` has `$A` for the text."""
    tokenizer = word_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=pattern, special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return tokenizer


@pytest.mark.parametrize("pattern", ["<s> $A", "<s> $A </s>"])
@pytest.mark.parametrize("prompt", ["w5 w6", "<s> w5 w6"])
def test_a_prompt_has_one_beginning_and_no_end(pattern: str, prompt: str) -> None:
    assert Prompting(adding(pattern)).tokens(prompt, ROW) == (BOS, 5, 6)


@pytest.mark.parametrize("pattern", ["<s> $A", "<s> $A </s>"])
def test_a_context_goes_on_with_its_continuation(pattern: str) -> None:
    assert Prompting(adding(pattern)).pair("w5 w6", " w7 w8", ROW) == ((BOS, 5, 6), (7, 8))


@pytest.mark.parametrize("pattern", ["$A", "<s> $A", "<s> $A </s>"])
def test_a_chat_template_that_writes_the_beginning_writes_the_only_one(pattern: str) -> None:
    tokenizer = adding(pattern)
    tokenizer.chat_template = "{{ bos_token }}{% for message in messages %} {{ message['content'] }}{% endfor %}"
    asked = Prompting(tokenizer, Chat(chat=True)).tokens([{"role": "user", "content": "w5 w6"}], ROW)
    assert asked == (BOS, 5, 6)


def test_without_a_beginning_token_none_is_made_up() -> None:
    assert Prompting(adding("$A </s>")).tokens("w5 w5", ROW) == (5, 5)
    assert Prompting(adding("$A")).tokens("w5 w5", ROW) == (5, 5)


def test_an_end_that_the_text_itself_has_stays() -> None:
    assert Prompting(adding("<s> $A </s>")).tokens("w5 </s>", ROW) == (BOS, 5, EOS)


def test_a_context_without_text_is_the_beginning_token() -> None:
    assert Prompting(adding("<s> $A </s>")).pair("", "w7", ROW) == ((BOS,), (7,))
