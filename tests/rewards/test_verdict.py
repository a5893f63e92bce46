import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.rewards.verdict import read_number

MARKS = {
    # The number alone.
    "8": 8,
    " **8**\n": 8,
    "8.": 8,
    "7.5": 7.5,
    "7,5": 7.5,
    "٣": 3,
    "10/10": 10,
    "8/10": 8,
    "8 / 10": 8,
    "[[8]]": 8,
    r"\boxed{8}": 8,
    "`8`": 8,
    "<think>first I thought 2</think> 9": 9,
    "<think>Score: 3</think>\n\nScore: 9": 9,
    # With a name.
    "Score: 8": 8,
    "**Score:** 8": 8,
    "Rating: **9**": 9,
    "score = 4": 4,
    "SCORE - reply: 6": 6,
    "Final score: 8/10": 8,
    "Rating (1-10): 9": 9,
    "Rating [1-10]: 9": 9,
    "Rating (from 1 to 10): 9": 9,
    "Rating: [[9]]": 9,
    "Overall rating: 7.5 out of 10": 7.5,
    "Score (out of 10): 3": 3,
    "The score is 6.": 6,
    "My rating would be a 7": 7,
    "I'd go for a score of 5.": 5,
    "Verdict -> 2": 2,
    "Answer: 4": 4,
    # In a sentence.
    "I would say 7.5.": 7.5,
    "0, no: 3": 3,
    "GPT4 or the 2nd: 6": 6,
    "version 3.14.15 gets 9": 9,
    "On a scale of 1 to 10, I give this reply 8.": 8,
    "On a scale of 1 to 10, I\u2019d give it an 8": 8,
    "I rate this reply 8 out of 10 because it makes 3 good points.": 8,
    "I give it a 7, as it has 2 flaws.": 7,
    "This deserves 6 of 10": 6,
    "8 - it has 3 good points and 1 bad one": 8,
    "8. It has 3 facts, but is missing 2": 8,
    "9\n\nThe reply lists 3 reasons and names 2 sources.": 9,
    "The reply makes 3 good points and 1 bad one, so: 6": 6,
    # After a list, or other marks.
    "1. Correct 2. Clear Score: 9": 9,
    "1. Correct\n2. Clear\n3. Kind\n\n9": 9,
    "Helpfulness: fine. Accuracy: 4/5. Overall: 9": 9,
    "Score for clarity: 4. Score for tone: 6. Final score: 5": 5,
    "First I thought 8/10, but with the error it is 5/10.": 5,
    "| part | score |\n|---|---|\n| clarity | 3 |\n\nOverall score: 8": 8,
    # JSON.
    '{"score": 9}': 9,
    '```json\n{"comment": "3 good points", "score": 9}\n```': 9,
    '```\n{"rating": "8/10", "reason": "2 flaws"}\n```': 8,
    'Here it is: {"reason": "a {brace} and 4 more", "mark": 7} as asked.': 7,
    '{"evaluation": {"clarity": 3, "overall_score": 8}}': 8,
    '{"clarity": 4, "tone": 6, "overall": 5}': 5,
    '{"Score": 8.0, "confidence": 3}': 8,
    '{"a": 1}\n{"score": 6}': 6,
    '{"value": 6}': 6,
    "{'score': 6, 'reason': '2 flaws'}": 6,
    '{"score": 6, "reason": "it was cut off after 3 wor': 6,
}


@pytest.mark.parametrize("answer", MARKS)
def test_a_mark_is_read_as_people_read_it(answer: str) -> None:
    assert read_number(answer, 1, 10) == MARKS[answer]


PAIRS = {
    "1": 1,
    "1.5": 1.5,
    "Reply 1 is worse than reply 2. Verdict: 2": 2,
    "My final verdict is: [[A]]": 1,
    "[[B]]": 2,
    "[[C]]": 1.5,
    "My final verdict is tie: [[A=B]]": 1.5,
    "Assistant B is slightly better: [[B>A]]": 1.75,
    "[[A>>B]]": 1,
    '{"reason": "reply 1 is vague", "score": 2}': 2,
    "Between 1 and 2, I choose: 2": 2,
}


@pytest.mark.parametrize("answer", PAIRS)
def test_a_verdict_on_a_pair_is_read_as_people_read_it(answer: str) -> None:
    assert read_number(answer, 1, 2) == PAIRS[answer]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "...",
        "ten",
        "fine, I think",
        "42",
        "Score: 42",
        "Score: -3",
        "-3",
        "Score: N/A",
        "[[A]]",
        "11 of 12",
        "I cannot rate this.",
        "I can't give this a score from 1 to 10.",
        "I\u2019m unable to provide a rating between 1 and 10 for this reply, for 2 reasons.",
        "As an AI I won't judge replies like these 3.",
        "Rating (1-10):",
        "On a scale of 1 to 10?",
        '{"score": null}',
        '{"score": true}',
        '{"score": 11}',
        '{"error": "cannot rate"}',
        "The reply has 3 parts, 2 of which are wrong, and 4 that are not.",
        "<think>Score: 8, I think, but",
        "GPT4",
        "3.14.15",
        '{"reason": {"a": ' * 2000,
    ],
)
def test_what_is_no_mark_is_missing(answer: str) -> None:
    assert read_number(answer, 1, 10) is None


@pytest.mark.parametrize(("answer", "number"), [("85%", 85), ("Score: 85%", 85), ("85/100", 85), ("0", 0)])
def test_percents_are_marks_up_to_100(answer: str, number: float) -> None:
    assert read_number(answer, 0, 100) == number


@given(
    st.integers(-50, 50), st.integers(0, 99), st.sampled_from(["mark: {}!", "{}", "I give it {}.", '{{"score": {}}}'])
)
def test_a_number_is_read_as_it_is_written(whole: int, hundredths: int, form: str) -> None:
    text = f"{whole}.{hundredths:02d}"
    assert read_number(form.format(text), -100, 100) == float(text)


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_has_a_mark_within_the_scale_or_none(text: str, key: str) -> None:
    for answer in (text, json.dumps({key: text}), f"{{{text}"):
        found = read_number(answer, 1, 10)
        assert found is None or 1 <= found <= 10
