"""Every form in which a benchmark is stored gives the same items."""

from __future__ import annotations

import bz2
import json
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.errors import UserError
from tests.support.preset_rows import HUB_ROWS, items_of, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def fields_of(name: str, file: Path) -> list[dict[str, Any]]:
    return [row.fields for row in items_of(name, file)]


def released_arc(row: dict[str, Any]) -> dict[str, Any]:
    """As AllenAI's releases of ARC and OpenBookQA have it."""
    choices = row["choices"]
    options = [{"text": text, "label": label} for text, label in zip(choices["text"], choices["label"], strict=True)]
    stem = row.get("question", row.get("question_stem"))
    return {"id": row["id"], "question": {"stem": stem, "choices": options}, "answerKey": row["answerKey"]}


def instruction(row: dict[str, Any]) -> dict[str, Any]:
    options = [f"Answer{i}: {text}" for i, text in enumerate(row["choices"]["text"], start=1)]
    shape = "/".join(f"answer{i}" for i in range(1, len(options) + 1))
    return {
        "instruction": f"Please choose the correct answer to the question: {row['question']}\n\n{' '.join(options)}\n\n"
        f"Answer format: {shape}",
        "answer": f"answer{row['choices']['label'].index(row['answerKey']) + 1}",
    }


def foundry_boolq(row: dict[str, Any]) -> dict[str, Any]:
    query = f"Passage: {row['passage']}\nQuestion: {row['question']}?"
    return {"query": query, "choices": ["no", "yes"], "gold": row["label"]}


def foundry_copa(row: dict[str, Any]) -> dict[str, Any]:
    connector = {"effect": "therefore", "cause": "because"}[row["question"]]
    choices = [choice[0].lower() + choice[1:] for choice in (row["choice1"], row["choice2"])]
    return {"query": f"{row['premise'].strip()[:-1]}, {connector}", "choices": choices, "gold": row["label"]}


def foundry_openbook(row: dict[str, Any]) -> dict[str, Any]:
    gold = row["choices"]["label"].index(row["answerKey"])
    return {"query": row["question_stem"], "choices": row["choices"]["text"], "gold": gold}


def foundry_winogrande(row: dict[str, Any]) -> dict[str, Any]:
    before, after = row["sentence"].split("_")
    contexts = [before + row["option1"], before + row["option2"]]
    return {"context_options": contexts, "continuation": after.strip(), "gold": int(row["answer"]) - 1}


def released_boolq(row: dict[str, Any]) -> dict[str, Any]:
    return {"question": row["question"], "passage": row["passage"], "title": "", "answer": bool(row["label"])}


def released_truthfulqa(row: dict[str, Any]) -> dict[str, Any]:
    targets = row["mc1_targets"]
    return {"question": row["question"], "mc1_targets": dict(zip(targets["choices"], targets["labels"], strict=True))}


ROWS: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = [
    ("arc_easy", released_arc),
    ("arc_challenge", instruction),
    ("openbookqa", released_arc),
    ("openbookqa", foundry_openbook),
    ("boolq", foundry_boolq),
    ("boolq", released_boolq),
    ("boolq", lambda row: row | {"label": bool(row["label"])}),
    ("copa", foundry_copa),
    ("winogrande", foundry_winogrande),
    ("hellaswag", lambda row: row | {"label": int(row["label"])}),
    ("truthfulqa_mc", released_truthfulqa),
]


@pytest.mark.parametrize(("name", "other_form"), ROWS)
def test_other_rows_give_the_items_of_the_hub_s_rows(
    name: str, other_form: Callable[[dict[str, Any]], dict[str, Any]], tmp_path: Path
) -> None:
    hub = fields_of(name, write_jsonl(tmp_path / "hub.jsonl", HUB_ROWS[name]))
    others = [other_form(row) for row in HUB_ROWS[name]]
    assert fields_of(name, write_jsonl(tmp_path / "other.jsonl", others)) == hub
    (tmp_path / "other.json").write_text(json.dumps(others, indent=1))
    assert fields_of(name, tmp_path / "other.json") == hub


def test_labels_of_piqa_beside_its_rows(tmp_path: Path) -> None:
    rows = HUB_ROWS["piqa"]
    file = write_jsonl(tmp_path / "valid.jsonl", [{k: v for k, v in row.items() if k != "label"} for row in rows])
    with pytest.raises(UserError, match=r"valid\.jsonl, line 1: the field 'label' is missing.*valid-labels\.lst"):
        items_of("piqa", file)
    labels = tmp_path / "valid-labels.lst"
    labels.write_text("0\n1\n")
    assert fields_of("piqa", file) == fields_of("piqa", write_jsonl(tmp_path / "hub.jsonl", rows))
    labels.write_text("0\n")
    with pytest.raises(UserError, match=r"valid-labels\.lst: 1 labels for the 2 rows"):
        items_of("piqa", file)


def test_squad_as_released(tmp_path: Path) -> None:
    data = []
    for row in HUB_ROWS["squad"]:
        answers = [{"text": text, "answer_start": 0} for text in row["answers"]["text"]]
        qas = [{"id": row["id"], "question": row["question"], "answers": answers}]
        data.append({"title": row["title"], "paragraphs": [{"context": row["context"], "qas": qas}]})
    (tmp_path / "dev.json").write_text(json.dumps({"version": "1.1", "data": data}))
    hub = write_jsonl(tmp_path / "hub.jsonl", HUB_ROWS["squad"])
    assert fields_of("squad", tmp_path / "dev.json") == fields_of("squad", hub)
    assert items_of("squad", tmp_path / "dev.json")[1].where == f"{tmp_path / 'dev.json'}, question b"


def test_drop_as_released(tmp_path: Path) -> None:
    passages = {}
    for number, row in enumerate(HUB_ROWS["drop"]):
        validated = row["validated_answers"]
        parts = ("number", "date", "spans")
        answers = [dict(zip(parts, each, strict=True)) for each in zip(*(validated[p] for p in parts), strict=True)]
        pair = {"question": row["question"], "answer": row["answer"], "validated_answers": answers}
        passages[f"nfl_{number}"] = {"passage": row["passage"], "qa_pairs": [pair]}
    (tmp_path / "dev.json").write_text(json.dumps(passages))
    hub = fields_of("drop", write_jsonl(tmp_path / "hub.jsonl", HUB_ROWS["drop"]))
    assert fields_of("drop", tmp_path / "dev.json") == hub
    assert hub[0]["answer"] == ["7", ["Ann", "Bob"]]
    assert hub[1]["answer"] == ["3 May 1945"]


def test_race_as_released_and_as_the_harness_has_it(tmp_path: Path) -> None:
    rows = HUB_ROWS["race"]
    hub = fields_of("race", write_jsonl(tmp_path / "hub.jsonl", rows))
    assert len(hub) == 2
    articles = {row["article"]: [each for each in rows if each["article"] == row["article"]] for row in rows}
    folder = tmp_path / "RACE" / "dev" / "high"
    folder.mkdir(parents=True)
    harness = []
    for number, (article, of_article) in enumerate(articles.items()):
        lists = {f"{key}s": [row[key] for row in of_article] for key in ("question", "answer")}
        lists["options"] = [row["options"] for row in of_article]
        (folder / f"{number}.txt").write_text(json.dumps({"article": article, "id": f"high{number}.txt"} | lists))
        problems = [{key: row[key] for key in ("question", "options", "answer")} for row in of_article]
        harness.append({"article": article, "problems": str(problems)})
    assert fields_of("race", folder) == hub
    assert fields_of("race", write_jsonl(tmp_path / "harness.jsonl", harness)) == hub


def test_mmlu_as_released(tmp_path: Path) -> None:
    folder = tmp_path / "val"
    folder.mkdir()
    rows = HUB_ROWS["mmlu"]
    cells = [[f'"{row["question"]}"', *row["choices"], "ABCD"[row["answer"]]] for row in rows]
    (folder / "high_school_physics_val.csv").write_text("".join(",".join(row) + "\n" for row in cells))
    assert fields_of("mmlu", folder) == fields_of("mmlu", write_jsonl(tmp_path / "hub.jsonl", rows))


def test_wmt_as_aligned_lines(tmp_path: Path) -> None:
    rows = [row["translation"] for row in HUB_ROWS["wmt14_fr_en"]]
    for language in ("fr", "en"):
        (tmp_path / f"dev.{language}").write_text("".join(row[language] + "\n" for row in rows))
    hub = write_jsonl(tmp_path / "hub.jsonl", HUB_ROWS["wmt14_fr_en"])
    assert fields_of("wmt14_fr_en", tmp_path / "dev.fr") == fields_of("wmt14_fr_en", hub)
    (tmp_path / "dev.en").write_text("Hello!\n")
    with pytest.raises(UserError, match=r"dev\.fr: 2 lines, but 1 in .*dev\.en"):
        items_of("wmt14_fr_en", tmp_path / "dev.fr")


@pytest.mark.parametrize("suffix", ["txt", "bz2"])
def test_hellaswag_as_six_lines(suffix: str, tmp_path: Path) -> None:
    """The text is cleaned already: the contexts as one, without marks and with no space in front of an ending."""
    lines = []
    for row, context, endings in zip(
        HUB_ROWS["hellaswag"],
        ["How to clean a pot. Soak it. Use warm water.", "Two women sit in a canoe. the Older one"],
        [["Wait an hour.", "Throw it.. Buy a new one.", "Sing.", "Sleep."], HUB_ROWS["hellaswag"][1]["endings"]],
        strict=True,
    ):
        lines += [f"{row['activity_label']}: {context}", row["label"], *endings]
    text = ("\n".join(lines) + "\n").encode()
    file = tmp_path / f"val.{suffix}"
    file.write_bytes(bz2.compress(text) if suffix == "bz2" else text)
    hub = fields_of("hellaswag", write_jsonl(tmp_path / "hub.jsonl", HUB_ROWS["hellaswag"]))
    stripped = [item | {"choices": [choice.strip() for choice in item["choices"]]} for item in hub]
    assert fields_of("hellaswag", file) == stripped
    file.write_bytes(bz2.compress(text + b"x\n") if suffix == "bz2" else text + b"x\n")
    with pytest.raises(UserError, match="13 lines are not six an item"):
        items_of("hellaswag", file)
