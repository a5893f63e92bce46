"""The menu at the end of a search, on a pseudo-terminal and without one."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from ama_ray.cli import menu
from ama_ray.run import StoredRun
from testing.made_up_run import make_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

END = """
from pathlib import Path
from ama_ray.cli.output import show_end
from ama_ray.run import StoredRun
show_end(StoredRun.open(Path("run")), quiet=QUIET, as_json=JSON)
"""
"""What a search does when it has ended."""
PATIENCE = 60
"""Seconds for one command."""


def program(*, quiet: bool = False, as_json: bool = False) -> list[str]:
    return [sys.executable, "-c", END.replace("QUIET", str(quiet)).replace("JSON", str(as_json))]


def environment() -> dict[str, str]:
    return os.environ | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)}


class Terminal:
    """A program on a pseudo-terminal, whose output is read up to what is waited for."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._seen = ""

    def until(self, words: str) -> str:
        """What was printed up to these words, since the last call; fails where the program ends before."""
        while words not in self._seen:
            piece = self._read()
            assert piece, f"ended without {words!r}: {self._seen}"
            self._seen += piece
        before, _, self._seen = self._seen.partition(words)
        return before

    def type(self, line: str) -> None:
        os.write(self._ours, line.encode())

    def end(self) -> tuple[int, str]:
        """The exit code, and what else was printed."""
        while piece := self._read():
            self._seen += piece
        os.close(self._ours)
        return self.process.wait(PATIENCE), self._seen

    def _read(self) -> str:
        try:
            return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", os.read(self._ours, 65536).decode(errors="replace"))
        except OSError:  # Linux has no end of file for a terminal whose program has ended
            return ""


def chosen(terminal: Terminal, entry: str, question: str, answer: str) -> str:
    """What an entry of the menu printed, up to the next menu."""
    terminal.type(f"{entry}\n")
    terminal.until(question)
    terminal.type(f"{answer}\n")
    return terminal.until("choose [q]: ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "run")
    return tmp_path


def test_pick_export_and_quit(folder: Path) -> None:
    terminal = Terminal(program(), folder)
    offered = terminal.until("choose [q]: ")
    titles = re.findall(r"^  (\S)  (.+)$", offered, re.MULTILINE)
    assert [key for key, _ in titles] == ["1", "2", "3", "4", "5", "6", "q"]
    assert "chat with the knee" in offered
    assert "chat with a point beside base" in offered
    picked = chosen(terminal, "5", "as in [tax 0.05]: ", "tax 0.03")
    assert "$ ama-ray pick run --max-tax 0.03" in picked
    assert "Trial 4 (sampler)" in picked
    terminal.type("nonsense\n")
    assert "There is no 'nonsense'; give 1 to 6, or q." in terminal.until("choose [q]: ")
    picked = chosen(terminal, "5", "as in [tax 0.05]: ", "reward 3.2")
    assert "$ ama-ray pick run --min-reward 3.2" in picked
    assert "Trial 3 (sampler)" in picked
    exported = chosen(terminal, "3", "folder [merged]: ", "two words")
    assert "$ ama-ray export run --point knee -o 'two words'" in exported
    assert (folder / "two words/model.safetensors").is_file()
    failed = chosen(terminal, "3", "folder [merged]: ", "two words")
    assert "error: " in failed, "a command that fails goes back to the menu"
    terminal.type("q\n")
    code, _ = terminal.end()
    assert code == 0


def test_the_end_of_the_input_quits(folder: Path) -> None:
    terminal = Terminal(program(), folder)
    terminal.until("choose [q]: ")
    terminal.type("\x04")
    assert terminal.end()[0] == 0


@pytest.mark.parametrize("how", [{"quiet": True}, {"as_json": True}])
def test_none_where_it_is_to_be_quiet(folder: Path, how: dict[str, bool]) -> None:
    code, shown = Terminal(program(**how), folder).end()
    assert code == 0
    assert shown
    assert "What next?" not in shown


def test_a_pipe_sees_the_commands_instead(folder: Path) -> None:
    """Of stdin or of stdout."""
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        program(), cwd=folder, env=environment(), stdin=theirs, capture_output=True, text=True, check=True
    )
    assert "What next?" not in ended.stdout
    assert "ama-ray export run --point knee -o merged" in ended.stdout
    os.close(theirs)
    os.close(ours)
    piped = [sys.executable, "-c", f"import subprocess, sys; subprocess.run({program()!r}, stdin=subprocess.DEVNULL)"]
    code, shown = Terminal(piped, folder).end()
    assert code == 0
    assert "ama-ray export run --point knee -o merged" in shown
    assert "What next?" not in shown


def test_an_extended_search_has_the_last_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def runs(arguments: list[str]) -> int:
        ran.append(arguments)
        return 0

    typed = iter(["6", "+8"])
    monkeypatch.setattr(menu, "_run", runs)
    monkeypatch.setattr("typer.prompt", lambda *text, **options: next(typed))
    with pytest.raises(typer.Exit) as ended:
        menu.offer(StoredRun.open(folder / "run"), "run")
    assert ended.value.exit_code == 0
    assert ran == [["extend", "run", "--trials", "+8"]]
