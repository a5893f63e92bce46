"""Which documents of a task are the search items, which are the report items, and what prompts they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import transformers

from ama_ray.miniature import ROOT
from ama_ray.probes.lm_eval import loading
from tests.support.lm_eval_tasks import answered, data, loaded, probe, prompts, rows, write_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("lm_eval")

FACTS = data("facts")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(ROOT / "base")


@pytest.fixture
def chatting(tokenizer: Any) -> Iterator[Any]:
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}reply : "
    yield tokenizer
    tokenizer.chat_template = None


def test_one_split_is_divided_by_a_hash_and_two_are_not(folder: Path, tokenizer: Any) -> None:
    search, report = loaded(folder, tokenizer, "mini_one")
    both = rows(FACTS["test"])
    assert sorted(prompts(search) + prompts(report)) == sorted(row["prompt"] for row in both)
    assert not set(prompts(search)) & set(prompts(report))
    assert 0.3 < len(search.documents) / len(both) < 0.7
    few, fewer = loaded(folder, tokenizer, "mini_one", items=20)
    assert len(few.documents) == len(fewer.documents) == 20
    assert set(prompts(few)) < set(prompts(search))


def test_examples_are_never_items(folder: Path, tokenizer: Any) -> None:
    search, report = loaded(folder, tokenizer, "mini_same")
    asked = {document.instances[0].doc["prompt"] for items in (search, report) for document in items.documents}
    everything = {row["prompt"] for row in rows(FACTS["test"])}
    examples = everything - asked
    assert len(examples) == 3  # two are shown, and one more is drawn
    for items in (search, report):
        for prompt in prompts(items):
            *shown, question = prompt.split("\n\n")
            assert len(shown) == 2
            assert question in asked
            assert all(any(text.startswith(example) for example in examples) for text in shown)
    none, _ = loaded(folder, tokenizer, "mini_same", few_shot=0)
    assert all("\n" not in prompt for prompt in prompts(none))


def test_examples_are_those_of_lm_eval_where_its_own_are_no_items(folder: Path, tokenizer: Any) -> None:
    from lm_eval.tasks import TaskManager

    search, report = loaded(folder, tokenizer, "mini_shots")
    plain = TaskManager(include_path=str(folder), include_defaults=False).load(["mini_shots"])["tasks"]["mini_shots"]
    plain.set_fewshot_seed(1234)
    plain.build_all_requests()
    expected = {instance.doc["prompt"]: instance.args for instance in plain.instances if instance.idx == 0}
    for items in (search, report):
        for document in items.documents:
            assert document.instances[0].args == expected[document.instances[0].doc["prompt"]]


def test_a_group_is_one_probe(folder: Path, tokenizer: Any) -> None:
    search, report = loaded(folder, tokenizer, "mini_both")
    facts, one = loaded(folder, tokenizer, "mini_facts"), loaded(folder, tokenizer, "mini_one")
    # The test documents of the one are all documents of the other.
    assert prompts(report) == prompts(facts[1]) + prompts(one[1])
    assert set(prompts(search)) == set(prompts(facts[0])) | (set(prompts(one[0])) - set(prompts(facts[1])))
    answers, alone = answered(report), answered(facts[1])
    assert report.statistics(answers, answers)[:200].tolist() == facts[1].statistics(alone, alone).tolist()


def test_the_chat_template_is_applied(folder: Path, chatting: Any) -> None:
    search, _ = loaded(folder, chatting, "mini_shots", chat=True)
    for document in search.documents:
        prompt, first = document.instances[0].args
        assert prompt.count("user : ") == 3
        assert prompt.count("assistant : ") == 2
        assert prompt.endswith(f"user : {document.instances[0].doc['prompt']} reply : ")
        assert first == document.instances[0].doc["choices"][0]


def test_a_test_split_is_known_for_one(folder: Path) -> None:
    known = {name: loading.uses_test_split(probe(folder, name)) for name in ("mini_facts", "mini_one", "mini_same")}
    assert known == {"mini_facts": False, "mini_one": False, "mini_same": True}
