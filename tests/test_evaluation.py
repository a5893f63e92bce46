import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.evaluation import Answers, Evaluation
from tests.words import StandInEngine, WordTokenizer


def prepare(folder: Path, limit: int | None = None) -> tuple[Evaluation, WordTokenizer]:
    files: dict[str, list[dict[str, Any]]] = {
        "prompts": [{"prompt": "hello you"}, {"prompt": "good day"}],
        "facts": [{"prompt": "sky", "choices": ["red", "blue"], "gold": gold} for gold in (1, 0)],
        "more": [{"prompt": "grass", "choices": ["green", "black"], "gold": 1}],
        "fr": [{"prompt": "say oui", "answer": "oui"}, {"prompt": "say non", "answer": "no"}],
    }
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "reward.py").write_text(
        "def score(rows, replies):\n    return [len(reply.strip()) for reply in replies]\n"
    )
    config = RunConfig.from_arguments(
        base="base",
        aligned="aligned",
        reward={
            "prompts": {"file": folder / "prompts.jsonl"},
            "scorer": f"{folder}/reward.py:score",
            "sampling": {"n": 2, "max_tokens": 4},
        },
        tax=[
            {"name": "facts", "family": "knowledge", "kind": "choice", "file": folder / "facts.jsonl"},
            {"name": "fr", "family": "translation", "kind": "exact", "file": folder / "fr.jsonl", "max_tokens": 3},
            {"name": "more", "family": "knowledge", "kind": "choice", "file": folder / "more.jsonl"},
        ],
        out=folder / "out",
    )
    tokenizer = WordTokenizer()
    return Evaluation.prepare(config, tokenizer, limit), tokenizer


def test_answers_return_to_the_probe_that_asked(tmp_path: Path) -> None:
    evaluation, tokenizer = prepare(tmp_path)
    answers = evaluation.ask(StandInEngine(tokenizer))  # type: ignore[arg-type]
    assert answers.replies == [[" you\n", " you\n"], [" day\n", " day\n"]]
    assert {name: items.tolist() for name, items in answers.items.items()} == {
        "facts": [1, 0],
        "fr": [1, 0],
        "more": [1],
    }
    assert answers.seconds.keys() == {"generate", "score"}


def test_the_context_length_is_that_of_the_longest_request(tmp_path: Path) -> None:
    evaluation, _ = prepare(tmp_path)
    assert evaluation.context_length == 3 + 4


def test_a_prompt_too_long_for_the_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"prompts.jsonl, row 1: .* need 7 tokens, and the model takes 6"):
        prepare(tmp_path, limit=6)


ITEMS = st.lists(st.booleans(), min_size=2, max_size=30)


@given(facts=ITEMS, fr=ITEMS, more=ITEMS, data=st.data())
def test_tax_is_the_mean_over_families_of_the_mean_over_probes(
    tmp_path_factory: pytest.TempPathFactory, facts: list[bool], fr: list[bool], more: list[bool], data: st.DataObject
) -> None:
    evaluation, _ = prepare(tmp_path_factory.mktemp("evaluation"))
    base = {name: np.array(items, dtype=float) for name, items in (("facts", facts), ("fr", fr), ("more", more))}
    merged = {
        name: np.array(data.draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items))), dtype=float)
        for name, items in base.items()
    }
    replies = [["1", "333"], ["55555", "666666"]]
    fields = evaluation.objectives(Answers(replies, merged, {}), Answers(replies, base, {}))

    def lost(name: str) -> NDArray[np.float64]:
        difference: NDArray[np.float64] = base[name] - merged[name]
        return difference

    def variance(name: str) -> float:
        return float(np.var(lost(name), ddof=1)) / len(base[name])

    expected = ((lost("facts").mean() + lost("more").mean()) / 2 + lost("fr").mean()) / 2
    assert fields["tax"] == pytest.approx(expected)
    assert fields["tax_se"] ** 2 == pytest.approx(variance("facts") / 16 + variance("more") / 16 + variance("fr") / 4)
    assert fields["reward"] == pytest.approx((2 + 5.5) / 2)
    assert fields["reward_se"] == pytest.approx(np.std([2, 5.5], ddof=1) / 2**0.5)
    assert fields["probes"]["fr"].score == pytest.approx(merged["fr"].mean())
    assert fields["probes"]["fr"].tax == pytest.approx(lost("fr").mean())
