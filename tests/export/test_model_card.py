"""The model card is one that huggingface_hub takes, and says what is known and no more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from ama_ray.api import Run
from ama_ray.export.merge_file import Group, Licence, MergeFile, Parent
from ama_ray.export.model_card import model_card

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runs import MakeRun

MIT, OTHER = Licence(id="mit"), Licence(id="other", name="tulu", link="https://example.org/licence")


def fields(card: ModelCard) -> dict[str, Any]:
    """Of the front matter."""
    return {key: value for key, value in vars(card.data).items() if value is not None}


def tables(card: ModelCard) -> list[list[list[str]]]:
    """The cells of every table."""
    html = MarkdownIt().enable("table").render(card.text)
    rows = [
        re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL) for table in re.findall(r"<table>.*?</table>", html, re.DOTALL)
    ]
    return [[re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in table] for table in rows]


def merge(base: Licence | None, aligned: Licence | None) -> MergeFile:
    return MergeFile(
        base=Parent(source="org/base", checksum="1", licence=base),
        aligned=Parent(source="/home/me/models/tuned", checksum="2", licence=aligned),
        dtype="bfloat16",
        groups=(Group(name="a|b", ratio=0.25, tensors=("w",)),),
        made_with={"ama_ray": "0.1.0", "torch": "2.13.0"},
    )


def test_scores_with_intervals_beside_those_of_the_parents(make_export_run: MakeRun, tmp_path: Path) -> None:
    out = Run.open(make_export_run(layers=2)).export(3, tmp_path / "out")
    card = ModelCard.load(out / "README.md")
    assert fields(card) == {
        "base_model": ["base", "aligned"],
        "base_model_relation": "merge",
        "library_name": "transformers",
        "license": "other",
        "pipeline_tag": "text-generation",
        "tags": ["merge", "ama_ray"],
    } | {name: fields(card)[name] for name in ("model_name", "eval_results")}
    (result,) = card.data.eval_results
    assert (card.data.model_name, result.dataset_name, result.metric_value) == ("aligned", "arc", 0.5)
    _parents, scores, ratios, digests = tables(card)
    assert scores[0] == ["", "this merge", "base", "aligned", "best uniform (ratio 0.5)"]
    assert scores[1][:2] == ["<strong>reward</strong>", "3.71 (3.51 to 3.91)"]
    assert scores[2][1:3] == ["0.120 (0.100 to 0.140)", "0.000 (-0.020 to 0.020)"]
    assert scores[3] == [
        "arc",
        *("0.500 (0.461 to 0.539)", "0.620 (0.581 to 0.659)", "0.110 (0.071 to 0.149)", "0.520 (0.481 to 0.559)"),
    ]
    assert [row[0] for row in ratios[1:]] == ["embed", "layer-0", "layer-1", "head"]
    assert sum(int(row[2]) for row in ratios[1:]) == 21
    assert ["reward.py", "<code>3</code>"] in digests
    assert "from the report split" in card.text
    assert "seed: 0" in card.text
    assert "vllm 0.32.0" in card.text
    assert str(tmp_path) not in card.text
    assert "/home/me" not in card.text


def test_a_trial_without_a_report_is_told_by_the_search(make_export_run: MakeRun, tmp_path: Path) -> None:
    out = Run.open(make_export_run(layers=1)).export(4, tmp_path / "out")
    card = ModelCard.load(out / "README.md")
    assert tables(card)[1][1][1:3] == ["2.00 (1.80 to 2.20)", "-0.20 (-0.40 to -0.00)".replace("-0.00", "0.00")]
    assert "from the search split" in card.text
    assert "scored on 25% of the items" in card.text


def test_base_itself_is_compared_with_aligned_only(make_export_run: MakeRun, tmp_path: Path) -> None:
    out = Run.open(make_export_run(layers=1)).export("base", tmp_path / "out")
    assert tables(ModelCard.load(out / "README.md"))[1][0] == ["", "this merge", "aligned"]


@pytest.mark.parametrize(
    ("base", "aligned", "front", "words"),
    [
        (MIT, MIT, {"license": "mit"}, "Both parents state the licence mit."),
        (
            OTHER,
            OTHER,
            {"license": "other", "license_name": "tulu", "license_link": "https://example.org/licence"},
            "Both parents state the licence [other (tulu)](https://example.org/licence).",
        ),
        (MIT, OTHER, {"license": "other"}, "licence of base is: mit; that of aligned: [other (tulu)]"),
        (MIT, None, {"license": "other"}, "licence of base is: mit; that of aligned: none stated"),
        (None, None, {"license": "other"}, "licence of base is: none stated; that of aligned: none stated"),
    ],
)
def test_licences_are_those_of_the_parents(
    base: Licence | None, aligned: Licence | None, front: dict[str, str], words: str
) -> None:
    card = model_card(merge(base, aligned))
    found = {key: value for key, value in fields(card).items() if key.startswith("license")}
    assert found == front
    assert words in card.text
    assert fields(card)["base_model"] == ["org/base", "tuned"]
    assert "[org/base](https://huggingface.co/org/base)" in card.text
    assert tables(card)[-1][1] == ["a|b", "0.2500", "1"]
    assert "None are recorded" in card.text


CARDS = {
    "mit": ("---\nlicense: mit\n---\n", "mit"),
    "a list": ("---\nlicense: [mit]\n---\n", "mit"),
    "two": ("---\nlicense: [mit, apache-2.0]\n---\n", None),
    "none": ("# A model\n", None),
    "broken": ("---\nlicense: [mit\n---\n", None),
    "no mapping": ("---\n- mit\n---\n", None),
}


@pytest.mark.parametrize("form", CARDS)
def test_a_licence_is_read_from_a_parent_s_card(form: str, make_export_run: MakeRun, tmp_path: Path) -> None:
    run = make_export_run(layers=1)
    text, expected = CARDS[form]
    (tmp_path / "pair" / "aligned" / "README.md").write_text(text)
    out = Run.open(run).export(3, tmp_path / "out")
    parents = MergeFile.load(out / "merge.json")
    assert parents.base.licence is None
    assert parents.parents[1].licence == (Licence(id=expected) if expected else None)


def test_a_parent_at_a_revision_is_linked_by_its_id() -> None:
    made = merge(None, None)
    at_step = made.base.model_copy(update={"source": "org/base@step-100"})
    card = model_card(made.model_copy(update={"base": at_step}))
    assert fields(card)["base_model"] == ["org/base", "tuned"]
    assert "[org/base](https://huggingface.co/org/base), revision `step-100`" in card.text


def test_what_mergekit_cannot_make_is_said() -> None:
    assert "There is no configuration for mergekit: it is odd." in model_card(merge(MIT, MIT), "it is odd").text
    assert "mergekit-yaml mergekit.yaml" in model_card(merge(MIT, MIT)).text
