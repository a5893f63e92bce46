"""Programs against their tests; HumanEval against running its tests directly."""

import gzip
import json
import subprocess
import sys
from typing import Any

import pytest

from ama_ray.data.rows import Row
from ama_ray.errors import UserError
from ama_ray.probes.presets.registry import PRESETS
from ama_ray.processes import sandbox
from ama_ray.processes.sandbox import Limits
from ama_ray.verifiers.code import CodeVerifier, code_of
from tests.support.preset_rows import DATA

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(sandbox.trouble()), reason=f"no sandbox on this machine: {sandbox.trouble()}"),
]

VERIFIER = CodeVerifier(Limits(seconds=10), "namespaces")
TEST = "assert double(2) == 4\nassert double('a') == 'aa'"


def read(**fields: Any) -> Any:
    return VERIFIER.read(Row(fields, "items.jsonl, line 4"))


@pytest.mark.parametrize(
    ("prefix", "reply", "score"),
    [
        ("", "def double(x):\n    return 2 * x", 1),
        ("", "def double(x):\n    return x", 0),
        ("", "Here it is:\n```python\ndef double(x):\n    return x + x\n```\nIt adds.", 1),
        ("", "First `pip`:\n```\npip install x\n```\nthen\n```py\ndef double(x):\n    return 2 * x\n```", 1),
        ("", "```python\ndef double(x):\n    return 2 * x", 1),
        ("def double(x):\n", "    return 2 * x", 1),
        ('def double(x):\n    """Twice."""\n', "```python\ndef double(x):\n    return 2 * x\n```", 1),
        ("", "I would not know.", 0),
        ("", "", 0),
        ("", "def double(x):\n    return 2 * x\nimport sys\nsys.exit(0)", 0),
        ("", "import os\nos._exit(0)", 0),
    ],
)
def test_the_code_of_a_reply_passes_or_not(prefix: str, reply: str, score: float) -> None:
    assert VERIFIER.scores([reply], [read(prefix=prefix, test=TEST)]) == [score]


def test_code_between_fences_is_told_from_the_rest() -> None:
    assert code_of("no fences") == "no fences"
    assert code_of("a\n```\nb\n```\nc") == "b\n"


def test_a_row_without_tests_and_a_machine_without_a_sandbox_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"items.jsonl, line 4: the field 'test' is missing"):
        read(prefix="")
    monkeypatch.setattr(sandbox, "trouble", lambda: "a program cannot be isolated here: unshare: not permitted")
    with pytest.raises(UserError, match=r"line 4: a program cannot be isolated here: .*; allow .*`sandbox: none`"):
        read(test=TEST)
    bare = CodeVerifier(Limits(), "none")
    right = bare.read(Row({"test": TEST}, "items.jsonl, line 4"))
    assert bare.scores(["def double(x): return 2 * x"], [right]) == [1]
    assert "sandbox: none" in bare.findings()
    assert "namespaces" in VERIFIER.findings()


def passes(program: str) -> bool:
    try:
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=10)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False
    return True


@pytest.mark.skipif(not (DATA / "humaneval").is_dir(), reason="no data at ../shared/data")
def test_humaneval_is_scored_as_its_tests_say() -> None:
    preset = PRESETS["humaneval"]
    file = DATA / "humaneval" / "HumanEval.jsonl.gz"
    items = preset.items(preset.read(file))
    assert len(items) == 164
    raw = [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    some = range(0, 164, 23)
    # The right code, the right code of another task, and right code that is cut off or wrong at its end.
    replies: list[tuple[int, str]] = []
    for i in some:
        right = raw[i]["canonical_solution"]
        replies += [(i, right), (i, raw[i - 1]["canonical_solution"]), (i, right[: len(right) // 2])]
        replies.append((i, f"```python\n{raw[i]['prompt']}{right}\n```"))
    scores = VERIFIER.scores([reply for _, reply in replies], [VERIFIER.read(items[i]) for i, _ in replies])
    for (i, reply), score in zip(replies, scores, strict=True):
        code = reply.removeprefix("```python\n").removesuffix("```")
        whole = code if code != reply else raw[i]["prompt"] + reply
        program = f"{whole}\n{raw[i]['test']}\ncheck({raw[i]['entry_point']})"
        assert score == passes(program), (i, reply)
    assert 0 < sum(scores) < len(scores)
