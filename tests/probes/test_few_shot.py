"""Solved examples in front of items."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from ama_ray.config import PresetProbe, Probe
from ama_ray.data.splits import Splits
from ama_ray.engine.requests import Generation
from ama_ray.errors import UserError
from ama_ray.probes import registry as probes
from ama_ray.probes.base import PreparedProbe
from ama_ray.probes.presets.registry import Loaded
from tests.support.probe_items import Fields, TextTokenizer, moved, prepare, probe, rows, write

POOL: list[Fields] = [
    {"prompt": "one", "choices": ["x", "y"], "gold": 0, "answer": ["un", "une"]},
    {"prompt": "two", "choices": ["x", "y"], "gold": 1, "answer": "deux"},
    {"prompt": "three", "choices": ["x", "y"], "gold": 1, "answer": "trois"},
]
ITEM: Fields = {"prompt": "four", "choices": ["x", "y"], "gold": 1, "answer": "quatre"}


def words_of(part: PreparedProbe, tokenizer: TextTokenizer) -> list[str]:
    """The prompt of every item."""
    contexts = [request.prompt if isinstance(request, Generation) else request.context for request in part.requests]
    return [" ".join(tokenizer.words[token] for token in context) for context in contexts]


@pytest.mark.parametrize(
    ("kind", "solutions"),
    [
        ("choice", {"one x", "two y", "three y"}),
        ("calibration", {"one x", "two y", "three y"}),
        ("letter", {"one A", "two B", "three B"}),
        ("exact", {"one un", "two deux", "three trois"}),
        ("bleu", {"one un", "two deux", "three trois"}),
    ],
)
def test_examples_are_solved_as_the_kind_asks(tmp_path: Path, kind: str, solutions: set[str]) -> None:
    pool = write(tmp_path / "pool.jsonl", POOL)
    tokenizer = TextTokenizer()
    made = probe(tmp_path, kind, [ITEM, ITEM | {"prompt": "five"}], [moved(ITEM)], few_shot={"n": 3, "file": pool})
    search, report = prepare(made, tokenizer)
    prompts = [*words_of(search, tokenizer), *words_of(report, tokenizer)]
    fronts = {" ".join(prompt.split()[:7]) for prompt in prompts}
    assert len(fronts) == 1
    (front,) = fronts
    found = front.split()[1:]
    assert {" ".join(found[i : i + 2]) for i in (0, 2, 4)} == solutions
    assert [" ".join(prompt.split()[7:]) for prompt in prompts] == ["four", "five", "four later"]


class LetterTokenizer(TextTokenizer):
    """Shows the very text that it is given."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return [ord(letter) for letter in text]


def shown(part: PreparedProbe) -> str:
    (request,) = part.requests
    assert isinstance(request, Generation)
    return "".join(map(chr, request.prompt))


def test_examples_stand_in_front_with_a_blank_line_between(tmp_path: Path) -> None:
    pool = write(tmp_path / "pool.jsonl", POOL[:1])
    settings = {"few_shot": {"n": 1, "file": pool}, "delimiter": " ->"}
    search, _ = prepare(probe(tmp_path, "exact", [ITEM], [moved(ITEM)], **settings), LetterTokenizer())
    assert shown(search) == "one ->un\n\nfour"
    search, _ = prepare(probe(tmp_path, "exact", [ITEM], [moved(ITEM)], chat=True, **settings), LetterTokenizer())
    assert shown(search) == "<user> one ->un\n\nfour <model> "


def test_examples_with_prompts_of_their_own_and_with_spans(tmp_path: Path) -> None:
    asked: Fields = {"prompts": ["so he", "so she"], "continuation": "slept", "gold": 1}
    pool = write(tmp_path / "pool.jsonl", [asked])
    tokenizer = TextTokenizer()
    item = asked | {"continuation": "ran"}
    made = probe(tmp_path, "choice", [item], [asked | {"continuation": "sat"}], few_shot={"n": 1, "file": pool})
    search, _ = prepare(made, tokenizer)
    assert words_of(search, tokenizer) == ["<s> so she slept so he", "<s> so she slept so she"]

    pool = write(tmp_path / "pool.jsonl", [{"prompt": "who", "answer": [["Ann", "Bob"], "Ann"]}])
    made = probe(tmp_path, "f1", [ITEM], [moved(ITEM)], normalize="drop", few_shot={"n": 1, "file": pool})
    search, _ = prepare(made, LetterTokenizer())
    assert shown(search) == "who Ann, Bob\n\nfour"


def test_an_item_is_never_an_example_and_the_draw_depends_on_no_other(tmp_path: Path) -> None:
    many = [{"prompt": f"q{i}", "answer": f"a{i}"} for i in range(40)]

    def drawn(pool: list[Fields], search: list[Fields]) -> list[str]:
        file = write(tmp_path / "pool.jsonl", pool)
        made = probe(tmp_path, "exact", search, [many[1]], few_shot={"n": 5, "file": file})
        return shown(prepare(made, LetterTokenizer())[0]).split("\n\n")[:-1]

    first = drawn(many, [many[0]])
    assert not {"q0 a0", "q1 a1"} & set(first)
    assert len(set(first)) == 5
    assert drawn(many[::-1], [many[0]]) == first
    # An example that becomes an item makes room for one other.
    taken = next(row for row in many if f"{row['prompt']} {row['answer']}" == first[2])
    again = drawn(many, [taken])
    assert [each for each in first if each != first[2]] == [each for each in again if each in first]
    # A row that is twice in the pool is one example.
    assert drawn(many + many, [many[0]]) == first


def test_too_few_examples(tmp_path: Path) -> None:
    pool = write(tmp_path / "pool.jsonl", [POOL[0], POOL[1], POOL[1], ITEM])
    made = probe(tmp_path, "exact", [ITEM], [moved(ITEM)], few_shot={"n": 3, "file": pool})
    with pytest.raises(
        UserError, match=r"^p: few_shot.n is 3, but .*pool.jsonl has only 2 examples that are not items"
    ):
        prepare(made)


def test_examples_need_a_file(tmp_path: Path) -> None:
    made = probe(tmp_path, "exact", [ITEM], [moved(ITEM)], few_shot={"n": 3})
    with pytest.raises(UserError, match=r"^p: few_shot.file is missing; name a file"):
        prepare(made)


def test_a_bad_example_is_named(tmp_path: Path) -> None:
    pool = write(tmp_path / "pool.jsonl", [{"prompt": "one"}])
    made = probe(tmp_path, "exact", [ITEM], [moved(ITEM)], few_shot={"n": 1, "file": pool})
    with pytest.raises(UserError, match=r"pool.jsonl, line 1: the field 'answer' is missing"):
        prepare(made)


def test_a_preset_brings_its_kind_its_items_and_its_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = TypeAdapter[Any](Probe).validate_python(
        {"name": "x", "family": "x", "kind": "exact", "file": "x", "stop": ["."], "max_tokens": 3}
    )
    pool = rows(*POOL)
    halves = Splits(tuple(rows(ITEM)), tuple(rows(moved(ITEM))))
    loaded = [Loaded(kind, halves, tuple(pool)), Loaded(kind, halves, ())]
    monkeypatch.setattr("ama_ray.probes.presets.registry.load", lambda probe, share: loaded.pop(0))
    made = PresetProbe.model_validate({"preset": "squad", "few_shot": {"n": 1}})
    search = probes.prepare(made, LetterTokenizer(), 0.5, None)["search"]
    (request,) = search.requests
    assert isinstance(request, Generation)
    assert (request.stop, request.max_tokens) == ((".",), 3)
    assert shown(search).endswith("\n\nfour")
    # Without a pool, the examples are in the prompts already.
    search = probes.prepare(made, LetterTokenizer(), 0.5, None)["search"]
    assert shown(search) == "four"
    assert search.name == "squad"
