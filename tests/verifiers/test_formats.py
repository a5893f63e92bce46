import time
from collections.abc import Iterator
from typing import Any

import pytest

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.processes.worker import end_workers
from ama_ray.verifiers import formats
from ama_ray.verifiers.formats import JsonVerifier, RegexVerifier

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


@pytest.fixture(autouse=True, scope="module")
def no_worker_is_left() -> Iterator[None]:
    yield
    end_workers()


def row(**fields: Any) -> Row:
    return Row(fields, "items.jsonl, line 4")


@pytest.mark.parametrize(
    ("pattern", "reply", "score"),
    [
        (r"\d{4}-\d\d-\d\d", " 2024-05-01\n", 1),
        (r"\d{4}-\d\d-\d\d", "on 2024-05-01", 0),
        ("yes|no", "yes", 1),
        ("yes|no", "yes!", 0),
        ("a.*b", "a\nb", 1),
    ],
)
def test_a_pattern_matches_the_whole_reply(pattern: str, reply: str, score: float) -> None:
    own, shared = RegexVerifier(None), RegexVerifier(pattern)
    assert own.scores([reply], [own.read(row(pattern=pattern))]) == [score]
    assert shared.scores([reply], [shared.read(row())]) == [score]


def test_a_pattern_that_takes_for_ever_does_not_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_SECONDS", 0.5)
    verifier = RegexVerifier("(a+)+b")
    start = time.monotonic()
    assert verifier.scores(["a" * 40, "aab"], [verifier.read(row())] * 2) == [0, 1]
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("schema", "reply", "score"),
    [
        (None, "[1, 2]", 1),
        (None, "3", 1),
        (None, "", 0),
        (None, "{'a': 1}", 0),
        (None, 'Here: {"a": 1}', 0),
        (SCHEMA, '{"age": 3}', 1),
        (SCHEMA, '{"age": "3"}', 0),
        (SCHEMA, "{}", 0),
        (SCHEMA, '\n```json\n{"age": 3}\n```\n', 1),
        (SCHEMA, '```\n{"age": 3}\n```', 1),
        (SCHEMA, "[" * 100_000, 0),
        ({"enum": [1]}, "1", 1),
    ],
)
def test_json_fits_its_schema(schema: Any, reply: str, score: float) -> None:
    verifier = JsonVerifier()
    right = verifier.read(row(schema=schema) if schema else row())
    assert verifier.scores([reply], [right]) == [score]


def test_what_is_no_pattern_and_no_schema_is_named() -> None:
    with pytest.raises(UserError, match=r"line 4: the pattern '\(' is no regular expression"):
        RegexVerifier(None).read(row(pattern="("))
    for schema in ({"type": "nothing"}, 3, [1]):
        with pytest.raises(UserError, match=r"line 4: the field 'schema' is no JSON schema"):
            JsonVerifier().read(row(schema=schema))
