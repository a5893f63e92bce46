"""Every block and command of README and docs/ is what the tool takes; `test_docs_run.py` also runs them.

A block or command that no test knows fails here.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from markdown_it import MarkdownIt
from ray.scripts.scripts import cli as ray_program
from typer.core import TyperGroup

from ama_ray.cli import main
from ama_ray.config import RunConfig
from ama_ray.probes.presets.registry import PRESETS
from ama_ray.storage import names
from testing.families import FAMILIES
from tests.support.doc_blocks import ROOT, RUN, Block, blocks, inline

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = blocks()
LANGUAGES = {
    "": "commands",
    "text": "formulas and what is shown",
    "yaml": "run files or parts",
    "python": "snippets or files",
    "json": "rows of a file",
}
RUN_ELSEWHERE = {
    "chat": ("tests/engine/server/test_point_server.py", '"chat", str(run)'),
    "demo": ("tests/cli/test_app.py", '*["demo"]'),
    "distill": ("tests/distill/test_distillation.py", '"distill", str('),
    "engine": ("tests/engine/server/test_pair_server.py", '"engine", "--pair"'),
    "fetch": ("tests/integration/test_jobs.py", 'ama_ray("fetch"'),
    "schema": ("tests/cli/test_schema.py", 'run("schema")'),
    "serve": ("tests/engine/server/test_point_server.py", '"serve", str(run)'),
    "status": ("tests/integration/test_jobs.py", 'ama_ray("status"'),
    "stop": ("tests/integration/test_jobs.py", 'ama_ray("stop"'),
    "submit": ("tests/integration/test_jobs.py", '"submit", "run.yaml"'),
}
"""Commands that want a cluster, a server or many trials: the test that runs them, and the words in it that do."""
NOT_RUN = {
    "ray": "wants a cloud; cluster.yaml is validated offline by tests/test_cluster_files.py",
    "docker": "wants a network; deploy/Dockerfile is read by tests/test_cluster_files.py",
    "make": "installs; what `make search` runs then is tests/integration/test_search.py",
    "curl": "wants a server; tests/engine/server/test_point_server.py asks one the same",
    "git": "wants a network, and is what got the checkout that this is in",
    "source": "the tests run in the environment that it would enter",
}
"""Programs that no test runs, and why."""
REST: dict[str, Any] = {
    "base": "base",
    "aligned": "aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "reward.py:score"},
    "tax": [{"preset": "piqa"}],
    "out": "out",
}
COMMANDS = [command for block in BLOCKS if not block.language for command in block.commands]


def subcommands() -> dict[str, Any]:
    """Those of `ama-ray`, by name."""
    program = typer.main.get_command(main._commands)
    assert isinstance(program, TyperGroup)
    return dict(program.commands)


SUBCOMMANDS = subcommands()


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def test_every_block_is_of_a_language_that_is_tested() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES.keys()


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: block.page)
def test_an_example_is_a_run_file_or_a_part_of_one(block: Block, tmp_path: Path) -> None:
    fields = yaml.safe_load(block.text)
    is_whole = {"base", "aligned", "reward", "tax", "out"} <= fields.keys()
    assert is_whole or block.file == ""
    config = RunConfig.parse(fields if is_whole else REST | fields, "docs", tmp_path)
    assert RunConfig.parse(yaml.safe_load(config.to_yaml()), "again") == config


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_is_one_that_there_is(command: list[str]) -> None:
    program, name, *rest = command
    if program == "ama-ray":
        SUBCOMMANDS[name].make_context(name, rest).close()
        assert name in RUN | RUN_ELSEWHERE.keys()
    else:
        assert program in {"cp", "mkdir", "python"} | NOT_RUN.keys()
    if program == "make":
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    if program == "ray":
        ray_program.commands[name].make_context(name, rest).close()


@pytest.mark.parametrize("name", RUN_ELSEWHERE)
def test_a_command_that_is_not_run_with_the_docs_is_run_elsewhere(name: str) -> None:
    file, words = RUN_ELSEWHERE[name]
    assert words in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("text", inline())
def test_a_command_in_a_sentence_is_one_that_there_is(text: str) -> None:
    words = text.split()
    if words[0] == "ama-ray" and words[1][0] not in "-.":
        options = {option for parameter in SUBCOMMANDS[words[1]].params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2])
    elif words[0] != "ama-ray":
        assert [word for word in words if "/" in word and (ROOT / word).exists()]


@pytest.mark.parametrize("block", of("json"), ids=lambda block: block.file)
def test_rows_are_the_first_of_their_file(block: Block) -> None:
    data = ROOT / "ama_ray" / "miniature" / "data" / "search" / block.file
    assert data.read_text(encoding="utf-8").startswith(block.text)


def test_the_first_pages_are_short_and_their_sentences_too() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 80
    for page in (ROOT / "README.md", ROOT / "docs" / "faq.md"):
        tokens = MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))
        spoken = [re.sub(r"[`*]|\]\([^)]*\)|!?\[", "", token.content) for token in tokens if token.type == "inline"]
        sentences = [sentence for text in spoken for sentence in re.split(r"(?<=[.:;?!])\s", text)]
        assert [sentence for sentence in sentences if len(sentence.split()) > 30] == []


def test_every_preset_is_named() -> None:
    text = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
    paragraph = next(part for part in text.split("\n\n") if part.startswith("**Presets**"))
    assert all(name in paragraph for name in PRESETS)


PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    folders = "ama_ray|benchmarks|deploy|docs|scripts|search_spaces|testing|tests"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_every_file_of_a_run_is_explained() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    part = text.partition("## What you get")[2].partition("\n## ")[0]
    named = {value for name, value in vars(names).items() if name.isupper()} - {names.LOCK, names.TENSORBOARD}
    assert sorted(name for name in named if f"`{name}" not in part) == []


def test_every_link_to_a_page_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if not link.startswith(("http://", "https://")):
                file, _, anchor = link.partition("#")
                target = (page.parent / file) if file else page
                assert target.exists(), f"{page.name}: {link}"
                if anchor:
                    titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                    assert anchor in anchors, f"{page.name}: {link}"


def test_the_table_of_families_is_what_is_tried() -> None:
    """`tests/engine/test_architectures.py` shows that the results are these."""
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    _, *rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| .* \| `.*$", text, re.MULTILINE)
    ]
    assert [row[:2] for row in rows] == [[name, f"`{family.kind}`"] for name, family in FAMILIES.items()]
    for name, _, result in rows:
        family = FAMILIES[name]
        expected = f"refused: {family.refusal}" if family.refusal else "exact"
        assert result == expected + (", where torchvision is installed" if family.needs_torchvision else "")


def test_every_case_has_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
    _, _, *rows = re.findall(r"^\|.*$", text, re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row.split("|")[-2])
        assert tests, row
        for file, test in tests:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), (
                f"{file}::{test}"
            )


def test_the_site_has_every_page() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    sections = [pages for section in nav for pages in section.values()]
    listed = [page for pages in sections for page in ([pages] if isinstance(pages, str) else pages)]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    pages = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [name for name in listed if name != "README.md" and f"({name})" not in pages] == []


def test_what_the_site_takes_from_docstrings_is_there() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in re.findall(r"^::: (\S+)", text, re.MULTILINE):
        module, _, member = name.rpartition(".")
        assert getattr(importlib.import_module(module), member).__doc__
