"""Bad input ends in one sentence that names file, line and field."""

from pathlib import Path

import pytest

from ama_ray.errors import UserError
from tests.support.probe_items import ANSWER, CHOICE, KINDS, Fields, TextTokenizer, moved, prepare, probe


@pytest.mark.parametrize(
    ("kind", "row", "words"),
    [
        ("choice", {"choices": ["a", "b"], "gold": 0}, "the field 'prompt' is missing"),
        ("choice", CHOICE | {"prompt": ["q"]}, "the field 'prompt' must be text, not list"),
        ("choice", {"prompt": "q", "gold": 0}, "the field 'choices' is missing"),
        ("choice", CHOICE | {"choices": []}, "the field 'choices' must be a list of two or more texts, none empty"),
        ("choice", CHOICE | {"choices": ["a"]}, "the field 'choices' must be a list of two or more texts"),
        ("choice", CHOICE | {"choices": ["a", ""]}, "the field 'choices' must be a list of two or more texts"),
        ("choice", CHOICE | {"choices": ["a", 2]}, "the field 'choices' must be a list of two or more texts"),
        ("choice", {"prompt": "q", "choices": ["a", "b"]}, "the field 'gold' is missing"),
        ("choice", CHOICE | {"gold": 2}, "the field 'gold' must be an index from 0 to 1, not 2"),
        ("choice", CHOICE | {"gold": -1}, "the field 'gold' must be an index from 0 to 1, not -1"),
        ("choice", CHOICE | {"gold": True}, "the field 'gold' must be an index from 0 to 1, not True"),
        ("choice", CHOICE | {"gold": float("nan")}, "the field 'gold' must be an index from 0 to 1, not nan"),
        ("choice", CHOICE | {"gold": "0"}, "the field 'gold' must be an index from 0 to 1, not '0'"),
        ("choice", {"prompts": ["q", "r"], "gold": 0}, "the field 'continuation' is missing"),
        ("choice", {"prompts": ["q"], "continuation": "c", "gold": 0}, "the field 'prompts' must be a list of two"),
        ("choice", CHOICE | {"choices": ["a", " "]}, "the prompt or a choice has no tokens"),
        ("calibration", CHOICE | {"gold": 2}, "the field 'gold' must be an index"),
        ("letter", CHOICE | {"gold": "C"}, "the field 'gold' must be a letter from A to B, not 'C'"),
        ("exact", {"prompt": "q"}, "the field 'answer' is missing"),
        ("exact", {"answer": "a"}, "the field 'prompt' is missing"),
        ("f1", ANSWER | {"answer": []}, "the field 'answer' must be a text or a list of one or more texts"),
        ("number", ANSWER | {"answer": "nine"}, "the field 'answer' has no number"),
        ("bleu", ANSWER | {"answer": []}, "the field 'answer' must be a text or a list of one or more texts"),
        ("chrf", ANSWER | {"answer": 5}, "the field 'answer' must be a text or a list of one or more texts"),
        ("perplexity", {"prompt": "q"}, "the field 'text' is missing"),
        ("kl", {"text": ""}, "the field 'text' has no tokens"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_a_bad_row_is_named(tmp_path: Path, kind: str, row: Fields, words: str, later: bool) -> None:
    good, _ = KINDS[kind]
    files = ([moved(good)], [good, row]) if later else ([good, row], [moved(good)])
    with pytest.raises(UserError) as caught:
        prepare(probe(tmp_path, kind, *files))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / ('later' if later else 'items')}.jsonl, line 2: {words}")
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_is_named(tmp_path: Path, kind: str) -> None:
    row, _ = KINDS[kind]
    made = probe(tmp_path, kind, [row], [moved(row)])
    for content, words in (
        (b"", "has no rows"),
        (b"\xff\xfe{}", "not UTF-8 at byte 0; convert the file"),
        (b"[]\n", "line 1: expected an object"),
        (b"{\n", "line 1: not JSON"),
    ):
        (tmp_path / "items.jsonl").write_bytes(content)
        with pytest.raises(UserError, match=rf"items\.jsonl(, |: ){words}"):
            prepare(made)
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(UserError, match=r"items\.jsonl: cannot be read"):
        prepare(made)


def test_the_chat_template_must_be_there(tmp_path: Path) -> None:
    class Plain(TextTokenizer):
        chat_template = None  # type: ignore[assignment]

    made = probe(tmp_path, "choice", [CHOICE], [moved(CHOICE)], chat=True)
    with pytest.raises(UserError, match=r"items\.jsonl, line 1: `chat: true`, but the tokenizer .* no chat template"):
        prepare(made, Plain())
