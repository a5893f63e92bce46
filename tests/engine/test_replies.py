"""What of a reply is graded, and where a stop string ends it."""

from __future__ import annotations

from typing import Any

import pytest

from ama_ray.data.thinking import Thinking
from ama_ray.engine.replies import Reply
from ama_ray.engine.requests import Answer, Generation
from tests.support.words import StandInEngine, WordTokenizer

MARKS = Thinking("</think>", "<think>")


class Saying(StandInEngine):
    """Says a text, which ends at a stop string as vLLM ends it: anywhere."""

    def __init__(self, text: str, finish: Any = "end") -> None:
        super().__init__(WordTokenizer())
        self.text, self.finish, self.told = text, finish, []  # type: ignore[var-annotated]

    def _run(self, prompts: list[list[int]], params: list[dict[str, Any]], finished: Any = None) -> list[Answer]:
        self.told.append([fields["stop"] for fields in params])
        return [self._answer(fields["stop"]) for fields in params]

    def _answer(self, stops: list[str]) -> Answer:
        cut = min((self.text.index(stop) for stop in stops if stop in self.text), default=None)
        text = self.text[:cut]
        return Answer([text], [self.finish if cut is None else "stop"], [len(text)], [], None, None)

    def reply(self, thinking: Thinking | None, *stop: str) -> Reply:
        ((reply,),) = super(StandInEngine, self).generate([Generation((1,), 9, stop=stop, thinking=thinking)])
        return reply


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("7", "", "7"),
        ("<think>#### 5 is wrong</think> #### 7", "#### 5 is wrong", " #### 7"),
        ("5</think>7", "5", "7"),  # the prompt began the thinking
        ("<think></think>7", "", "7"),
        ("<think>5</think>7</think>8", "5", "7</think>8"),
    ],
)
def test_the_answer_is_what_comes_after_the_thinking(text: str, thinking: str, answer: str) -> None:
    assert Saying(text).reply(MARKS) == Reply(answer, thinking, "end", len(text))


def test_a_reply_that_never_gets_there_is_cut_off() -> None:
    text = "<think>5 and 7 make 12"
    thought = "5 and 7 make 12"
    assert Saying(text, "length").reply(MARKS) == Reply("", thought, "length", len(text), cut_off=True)
    # One that does not think needs no end; one whose prompt began to think does.
    assert not Saying("12").reply(MARKS).cut_off
    assert Saying("12").reply(MARKS.after("2 * 6 = <think>\n")).cut_off
    assert not Saying("12").reply(MARKS.after("<think>\n\n</think>\n\n")).cut_off


def test_a_text_of_the_run_file_has_to_be_said() -> None:
    thinking = Thinking.of((), (), "Answer:")
    assert Saying("so Answer: 7").reply(thinking).text == " 7"
    assert Saying("7").reply(thinking).cut_off


def test_a_tokenizer_s_own_marks_are_used_and_special_ones_taken_out() -> None:
    marks = ("[THINK]", "[/THINK]")
    thinking = Thinking.of(marks, ("<s>", *marks), None)
    assert Saying("[THINK]5[/THINK]7<s>").reply(thinking) == Reply("7", "5", "end", 20)
    assert Thinking.of((), ("<s>",), None) == MARKS


def test_a_stop_string_does_nothing_inside_the_thinking() -> None:
    text = "<think>5\n\n6</think> 7\n\n8"
    engine = Saying(text)
    assert engine.reply(MARKS, "\n\n") == Reply(" 7", "5\n\n6", "stop", len(text))
    assert engine.told == [[["\n\n"]], [[]]]
    # Where every reply thinks, vLLM is not told of it in the first place.
    engine = Saying(text)
    assert engine.reply(MARKS.after("<think>"), "\n\n").text == " 7"
    assert engine.told == [[[]]]


def test_a_stop_string_ends_a_reply_that_does_not_think() -> None:
    engine = Saying("7\n\n8")
    assert engine.reply(MARKS, "\n\n") == Reply("7", "", "stop", 1)
    assert engine.told == [[["\n\n"]]]
