"""Equal as math-verify says; what hangs is ended; GSM8K against the numbers themselves."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.processes.worker import end_workers
from ama_ray.verifiers.math import MathVerifier
from tests.support.preset_rows import DATA

VERIFIER = MathVerifier(timeout=10)


@pytest.fixture(autouse=True, scope="module")
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()


def row(**fields: Any) -> Row:
    return Row(fields, "items.jsonl, line 4")


@pytest.mark.parametrize(
    ("right", "reply", "score"),
    [
        ("18", "So she makes $18 a day.", 1),
        ("18", "16 - 3 = 13, then 18", 1),
        ("18", "18 at first, then 19", 0),
        ("Some text. #### 1,080", "It is 1080.", 1),
        ("#### 1080", "First 7.\n#### 1,080", 1),
        ("#### 6", "The total: $4.00 + $2.00 = $6.00\n#### 6", 1),
        ("#### 6", "#### Final answer\n\nIt is 6.", 1),
        (r"\frac{1}{2}", "The answer is $0.5$.", 1),
        (r"$\frac{1}{2}$", r"\boxed{1/2}", 1),
        ("x^2+2x+1", "$(x+1)^2$", 1),
        ("[2,5)", "$[2,5)$", 1),
        ("[2,5)", "$[2,5]$", 0),
        (r"\left(3,\frac{\pi}{2}\right)", r"thus \boxed{(3, \pi/2)}", 1),
        ("204", r"The final answer is \boxed{204}", 1),
        (204, "204", 1),
        (["1/2", "2"], "It is 2", 1),
        ("5 0", " 5 0\n", 1),
        ("5", "", 0),
        ("5", "five, I think", 0),
    ],
)
def test_answers_are_equal_as_mathematics(right: Any, reply: str, score: float) -> None:
    assert VERIFIER.scores([reply], [VERIFIER.read(row(answer=right))]) == [score]


def test_the_last_answer_of_a_solution_is_the_right_one() -> None:
    right = VERIFIER.read(row(solution=r"As $x = 3$ and $y = 4$, we have \boxed{7}."))
    assert VERIFIER.scores(["7", "4", r"\boxed{7}"], [right] * 3) == [1, 0, 1]


@pytest.mark.parametrize("fields", [{}, {"answer": ""}, {"answer": "#### "}, {"answer": []}, {"answer": [""]}])
def test_a_row_without_an_answer_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"items.jsonl, line 4: the field"):
        VERIFIER.read(row(**fields))


def test_an_answer_that_takes_for_ever_is_wrong_and_those_after_it_are_read() -> None:
    right = VERIFIER.read(row(answer="5"))
    hasty = MathVerifier(timeout=1)
    hasty.scores(["5"], [right])
    start = time.monotonic()
    assert hasty.scores(["$9^{9^{9^9}}$", "5", "6"], [right] * 3) == [0, 1, 0]
    assert time.monotonic() - start < 40


def test_votes_are_the_answers_as_they_are_written() -> None:
    replies = ["so 1,080", "#### 1080", r"3, so \boxed{\frac{1}{2}}", "none"]
    assert [VERIFIER.vote(reply) for reply in replies] == ["1080", "1080", r"\frac{1}{2}", None]


@pytest.mark.skipif(not (DATA / "gsm8k").is_dir(), reason="no data at ../shared/data")
def test_gsm8k_is_scored_as_its_numbers_are() -> None:
    lines = (DATA / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()[::9]
    rows = [json.loads(line) for line in lines]
    # Each solution is a reply to its own question, and to the next one.
    solutions = [each["answer"] for each in rows]
    rights = [VERIFIER.read(row(answer=solution)) for solution in solutions]
    numbers = [float(solution.rpartition("####")[2].replace(",", "")) for solution in solutions]
    for replies, expected in (
        (solutions, [1.0] * len(rows)),
        (
            solutions[1:] + solutions[:1],
            [float(a == b) for a, b in zip(numbers[1:] + numbers[:1], numbers, strict=True)],
        ),
        ([f"The answer is {number:g}." for number in numbers], [1.0] * len(rows)),
    ):
        assert VERIFIER.scores(replies, rights) == expected
