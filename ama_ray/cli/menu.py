"""What can be done with a run that has ended, to choose from on a terminal: each entry is a command of its own."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from ama_ray.cli.console import console, say
from ama_ray.scores.tokens import rewards_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ama_ray.run import StoredRun

_QUIT = "q"


@dataclass(frozen=True)
class _Entry:
    """A line of the menu.

    Attributes:
        title: What it does.
        command: Makes the arguments of `ama-ray`, and asks for what it needs.
        leaves: Whether the command ends with a menu of its own.
    """

    title: str
    command: Callable[[], list[str]]
    leaves: bool = False


def possible() -> bool:
    """Whether somebody sits at a terminal, to read and to type."""
    return sys.stdin.isatty() and console.is_terminal and not console.is_dumb_terminal


def offer(run: StoredRun, folder: str) -> None:
    """Lets the user choose until they quit; every command is printed before it runs, as a script would have it.

    Args:
        run: It has ended with a knee.
        folder: The run's, as commands name it.

    Raises:
        typer.Exit: The search went on, and ended with this exit code.
    """
    entries = {str(number): entry for number, entry in enumerate(_entries(run, folder), start=1)}
    while True:
        say("\nWhat next?")
        for key, entry in entries.items():
            say(f"  {key}  {entry.title}")
        say(f"  {_QUIT}  quit")
        try:
            chosen = typer.prompt("choose", default=_QUIT).strip().lower()
            if chosen in (_QUIT, "quit"):
                return
            if chosen not in entries:
                say(f"There is no {chosen!r}; give 1 to {len(entries)}, or {_QUIT}.")
                continue
            arguments = entries[chosen].command()
        except typer.Abort:  # Ctrl+C, Ctrl+D
            print()
            return
        code = _run(arguments)
        if entries[chosen].leaves and code != 2:  # with 2 it refused, and nothing began
            raise typer.Exit(code)


def _entries(run: StoredRun, folder: str) -> list[_Entry]:
    chats = [
        _Entry("chat with the knee", lambda: ["chat", folder, "--point", "knee"]),
        _Entry(
            "chat with a point beside base",
            lambda: [
                "chat",
                folder,
                "--point",
                _ask("point (knee, aligned, trial-NUMBER, ...)", "knee"),
                "--vs",
                "base",
            ],
        ),
    ]
    return [
        *(chats if run.config.replies_rewards else ()),
        _Entry(
            "export the knee as a checkpoint",
            lambda: ["export", folder, "--point", "knee", "-o", _ask("folder", "merged")],
        ),
        _Entry("serve all points, until Ctrl+C", lambda: ["serve", folder]),
        _Entry("pick a point by a wish", lambda: ["pick", folder, *_wish(run)]),
        _Entry(
            "go on searching",
            lambda: ["extend", folder, "--trials", f"+{_ask('more trials', str(run.config.trials)).lstrip('+')}"],
            leaves=True,
        ),
    ]


def _ask(what: str, default: str) -> str:
    return str(typer.prompt(f"  {what}", default=default)).strip()


def _wish(run: StoredRun) -> list[str]:
    """The options of `ama-ray pick`: a number after `tax`, or after a reward."""
    rewards = rewards_of(run.pareto.objectives)
    wish = _ask(f"at most this tax, or at least this {' or '.join(rewards)}, as in", "tax 0.05")
    name, _, number = wish.rpartition(" ")
    if name in rewards:
        return ["--min-reward", f"{name}={number}" if len(rewards) > 1 else number]
    return ["--max-tax", number]


def _run(arguments: list[str]) -> int:
    """Runs a command of `ama-ray`; Ctrl+C is for it, not for the menu. Returns its exit code."""
    say(f"$ {shlex.join(['ama-ray', *arguments])}")
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        return subprocess.run([sys.executable, "-m", "ama_ray.cli", *arguments], check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
