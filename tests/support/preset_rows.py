"""Rows in the form of the hub's datasets, made up here, and the real files that tests of the presets read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import PresetProbe
from ama_ray.probes.presets.registry import PRESETS

if TYPE_CHECKING:
    from ama_ray.data.rows import Row

DATA = Path(__file__).parents[3] / "shared" / "data"

FILES = {
    "arc_easy": ("arc/ARC-Easy.test.json", 2376),
    "arc_challenge": ("arc/ARC-Challenge.test.json", 1172),
    "piqa": ("piqa/valid.jsonl", 1838),
    "squad": ("squad/xquad.en.json", 1190),
    "drop": ("drop/allennlp_fixture.drop.json", 19),
    "wmt14_fr_en": ("wmt14_fr-en/newstest2014.fr", 3003),
    "hellaswag": ("hellaswag/hellaswag_val_full.txt.bz2", 10042),
    "mmlu": ("mmlu/val", 1542),
    "boolq": ("llm-foundry/boolq.jsonl", 3270),
    "openbookqa": ("llm-foundry/openbook_qa.jsonl", 500),
    "copa": ("llm-foundry/copa.jsonl", 100),
    "winogrande": ("llm-foundry/winogrande.jsonl", 1267),
    "gsm8k": ("gsm8k/test.jsonl", 1319),
    "humaneval": ("humaneval/HumanEval.jsonl.gz", 164),
}
"""By preset: the file under shared/data, and how many items it has."""

_ARC: list[dict[str, Any]] = [
    {
        "id": "1",
        "question": "What melts?",
        "choices": {"text": ["ice", "stone", "air"], "label": ["A", "B", "C"]},
        "answerKey": "A",
    },
    {
        "id": "2",
        "question": "What flies?",
        "choices": {"text": ["a fish", "a bird"], "label": ["1", "2"]},
        "answerKey": "2",
    },
]
_OPENBOOK = [
    {"id": row["id"], "question_stem": row["question"], "choices": row["choices"], "answerKey": row["answerKey"]}
    for row in _ARC
]
_DATE = {"day": "", "month": "", "year": ""}

HUB_ROWS: dict[str, list[dict[str, Any]]] = {
    "arc_easy": _ARC,
    "arc_challenge": _ARC,
    "openbookqa": _OPENBOOK,
    "race": [
        {
            "example_id": f"high{article}.txt",
            "article": f"Tom has {article} dogs.",
            "question": question,
            "options": ["one", "two", "three", "four"],
            "answer": answer,
        }
        for article in (1, 2)
        for question, answer in (("How many?", "AB"[article - 1]), ("Tom likes  _  .", "C"), ("Who has dogs?", "D"))
    ],
    "piqa": [
        {"goal": "Open a jar.", "sol1": "Twist the lid.", "sol2": "Twist the jar off. ", "label": 0},
        {"goal": "dry hair", "sol1": "use a fork", "sol2": "use a towel", "label": 1},
    ],
    "boolq": [
        {"question": "is snow cold", "passage": "Snow is frozen water.", "idx": 0, "label": 1},
        {"question": "can a stone swim", "passage": "Stones sink.\nQuestion: why", "idx": 1, "label": 0},
    ],
    "copa": [
        {
            "premise": "It rained.",
            "choice1": "The road dried.",
            "choice2": "I got wet.",
            "question": "effect",
            "label": 1,
        },
        {
            "premise": "He sneezed! ",
            "choice1": "He had a cold.",
            "choice2": "He slept.",
            "question": "cause",
            "label": 0,
        },
    ],
    "squad": [
        {
            "id": "a",
            "title": "Snow",
            "context": "Snow falls in winter.",
            "question": "When does snow fall?",
            "answers": {"text": ["winter", "in winter", "winter"], "answer_start": [14, 11, 14]},
        },
        {
            "id": "b",
            "title": "Sea_water",
            "context": "The sea is salty.",
            "question": "What is salty?",
            "answers": {"text": ["The sea"], "answer_start": [0]},
        },
    ],
    "drop": [
        {
            "query_id": "a",
            "passage": "Ann has 3 cats, Bob 4.",
            "question": "How many cats?",
            "answer": {"number": "7", "date": _DATE, "spans": []},
            "validated_answers": {"number": ["7", ""], "date": [_DATE, _DATE], "spans": [[], ["Ann", "Bob"]]},
        },
        {
            "query_id": "b",
            "passage": "The war ended on 3 May 1945.",
            "question": "When did it end?",
            "answer": {"number": "", "date": {"day": "3", "month": "May", "year": "1945"}, "spans": []},
            "validated_answers": {"number": [""], "date": [_DATE], "spans": [["3 May 1945"]]},
        },
    ],
    "wmt14_fr_en": [
        {"translation": {"fr": "Il neige.", "en": "It snows."}},
        {"translation": {"fr": "Bonjour !", "en": "Hello!"}},
    ],
    "hellaswag": [
        {
            "activity_label": "Home and Garden",
            "ctx_a": "[header] How to clean a pot [title] Soak it. [step] Use  warm water.",
            "ctx_b": "",
            "endings": ["[substeps] Wait an hour.", "Throw it. [title] Buy a new one.", "Sing.", "Sleep."],
            "label": "0",
        },
        {
            "activity_label": "Canoeing",
            "ctx_a": "Two women sit in a canoe.",
            "ctx_b": "the Older one",
            "endings": ["paddles.", "flies.", "eats the canoe.", "is a tree."],
            "label": "0",
        },
    ],
    "winogrande": [
        {"sentence": "Ann thanked Eve because _ had helped.", "option1": "Ann", "option2": "Eve", "answer": "2"},
        {"sentence": "The cup is not in the box as the _ is big.", "option1": "cup", "option2": "box", "answer": "1"},
    ],
    "mmlu": [
        {
            "question": f" What is {n} + 1?\n",
            "subject": "high_school_physics",
            "choices": ["1", "2", "3", "4"],
            "answer": n,
        }
        for n in range(4)
    ],
    "gsm8k": [
        {
            "question": f"Ann has {n} eggs and buys 2. How many has she?",
            "answer": f"{n}+2=<<{n}+2={n + 2}>>\n#### {n + 2}",
        }
        for n in range(3)
    ],
    **{
        name: [
            {
                "problem": f"What is ${n} + \\frac{{1}}{{2}}$?",
                "solution": f"It is $\\boxed{{\\frac{{{2 * n + 1}}}{{2}}}}$, as $\\frac{{2}}{{2}} = 1$.",
            }
            for n in range(3)
        ]
        for name in ("math", "math500")
    },
    "humaneval": [
        {
            "prompt": f'def add_{n}(x):\n    """Adds {n}."""\n',
            "entry_point": f"add_{n}",
            "canonical_solution": f"    return x + {n}\n",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        }
        for n in range(3)
    ],
    "mbpp": [
        {
            "text": f"Write a function that adds {n}.",
            "code": f"def add(x):\r\n  return x + {n}",
            "test_list": [f"assert add({x}) == {x + n}" for x in range(3)],
        }
        for n in range(3)
    ],
    "truthfulqa_mc": [
        {
            "question": f"Can {animal} fly?",
            "mc1_targets": {"choices": ["No", "Yes", "At night"], "labels": [1, 0, 0]},
            "mc2_targets": {"choices": ["No", "Yes"], "labels": [1, 0]},
        }
        for animal in ("pigs", "cows")
    ],
}
"""By preset; the first ones of the dataset that the preset names."""


def real_file(name: str) -> Path:
    """The real file of a preset; skips the test where it is not at hand."""
    file = DATA / FILES[name][0]
    if not file.exists():
        pytest.skip(f"shared/data/{FILES[name][0]} is not beside the repository")
    return file


def items_of(name: str, file: Path) -> list[Row]:
    """All items of a local copy, in its order."""
    preset = PRESETS[name]
    return preset.items(preset.read(file))


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def probe(preset: str, /, file: Path | None = None, **fields: Any) -> PresetProbe:
    return PresetProbe.model_validate({"preset": preset, "file": file, **fields})
