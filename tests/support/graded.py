"""Mathematics and programs of the real files, graded without this package."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import math_verify

DATA = Path(__file__).parents[3] / "shared" / "data"
VERIFIED = {"gsm8k": "gsm8k/test.jsonl", "humaneval": "humaneval/HumanEval.jsonl.gz"}


def school_problems() -> list[dict[str, str]]:
    """GSM8K: `question`, and an `answer` that ends with `#### number`."""
    return [json.loads(line) for line in (DATA / VERIFIED["gsm8k"]).read_text(encoding="utf-8").splitlines()]


def programs() -> list[dict[str, str]]:
    """HumanEval: `prompt`, `canonical_solution`, `test`, `entry_point`."""
    return [json.loads(line) for line in gzip.decompress((DATA / VERIFIED["humaneval"]).read_bytes()).splitlines()]


def is_right(name: str, row: dict[str, str], said: str, scratch: Path) -> bool:
    """By math-verify, or by the tests of a program, each called directly."""
    if name == "humaneval":
        program = f"{row['prompt']}{said}\n\n{row['test']}\n\ncheck({row['entry_point']})\n"
        (scratch / "program.py").write_text(program, encoding="utf-8")
        return not _exit_code(scratch / "program.py")
    gold = row["answer"].rpartition("#### ")[2]
    return bool(math_verify.verify(math_verify.parse(f"${gold}$"), math_verify.parse(said.rpartition("####")[2])))


def spoilt(name: str, row: dict[str, str]) -> str:
    """A reply that looks like the right one, and is not."""
    if name == "humaneval":
        return "    return 'nothing of the kind'\n"
    return re.sub(r"#### (-?\d+)", lambda found: f"#### {int(found[1]) + 1}", row["answer"].replace(",", ""))


def _exit_code(program: Path) -> int:
    return subprocess.run([sys.executable, "-I", program], check=False, capture_output=True, timeout=60).returncode
