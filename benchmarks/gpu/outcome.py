"""What every step ends with: a line of JSON, and a verdict in a line. Needs nothing but Python."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NoReturn


@dataclass
class Outcome:
    """What a step found.

    Attributes:
        step: Its module's name.
        device: What it ran on.
        figures: What it measured, with units in the names.
        checks: For each check, whether it passed, and what was seen and wanted in words.
        left_out: What it could not do here, in words.
    """

    step: str
    device: str
    figures: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, tuple[bool, str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def check(self, name: str, passed: bool, seen: str) -> None:
        """Notes a check; `seen` says what was found and what was wanted."""
        self.checks[name] = bool(passed), seen

    def at_least(self, name: str, value: float, least: float) -> None:
        """Notes a figure that must not be smaller."""
        self.figures[name] = value
        self.check(name, value >= least, f"{value:.4g}, at least {least:g} wanted")

    def at_most(self, name: str, value: float, most: float) -> None:
        """Notes a figure that must not be larger."""
        self.figures[name] = value
        self.check(name, value <= most, f"{value:.4g}, at most {most:g} wanted")

    @property
    def failed(self) -> list[str]:
        """What did not pass, with what was seen."""
        return [f"{name} ({seen})" for name, (passed, seen) in self.checks.items() if not passed]

    @property
    def verdict(self) -> str:
        """The step in one line."""
        if self.failed:
            return f"{self.step}: FAILED: {'; '.join(self.failed)}"
        if not self.checks:
            return f"{self.step}: skipped: {'; '.join(self.left_out)}"
        without = f"; left out: {'; '.join(self.left_out)}" if self.left_out else ""
        return f"{self.step}: passed on {self.device}: {len(self.checks)} checks{without}"

    def finish(self) -> NoReturn:
        """Prints both lines and ends the process."""
        state = "failed" if self.failed else "passed" if self.checks else "skipped"
        print(
            json.dumps(
                {
                    "step": self.step,
                    "state": state,
                    "device": self.device,
                    "figures": self.figures,
                    "checks": {name: {"passed": ok, "seen": seen} for name, (ok, seen) in self.checks.items()},
                    "left_out": self.left_out,
                }
            )
        )
        print(self.verdict, flush=True)
        sys.exit(bool(self.failed))


def need(outcome: Outcome, *modules: str) -> None:
    """Ends a step as skipped where a module that it needs is not installed."""
    if missing := [name for name in modules if find_spec(name) is None]:
        outcome.left_out.append(f"{', '.join(missing)} is not installed here")
        outcome.finish()
