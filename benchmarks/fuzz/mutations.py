"""Damage to a file: to its bytes, and to what they stand for, so that it comes further than a parser's first check."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

TOKENS = [
    *(b'"', b"\n", b",", b"{", b"[", b"]", b"}", b":", b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf", b"../", b"/", b"%"),
    *(b"\r", b"-1", b"0", b"1e999", b"NaN", b"-Infinity", b"9" * 30, b"9" * 5000, b"null", b"true", b"\\ud800"),
    *(b"!!python/object/apply:os.system ['true']", b"*a", b"&a", b"<<: ", b"---\n", b"[" * 2000, b'{"a":' * 300),
    *(b"=1+1", b"\x1b]52;c;eA==\x07"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308, 5e-324, float("nan")),
    *(float("inf"), -float("inf"), "", "a", "0", "../../x", "/etc/passwd", "\x00", "\x1b[31m", "\ud800", "é" * 40),
    *("x" * 5000, "{{ 1 }}", "knee", "-", [], {}, [[]], {"": {}}, [None], ["a", "a"], {"__float__": "x"}),
    *([1, "a", None], "(a+)+$", "(", "2026-01-01", "!!binary x", [0] * 300, {"a": 1, "b": [2]}),
]


def mutated(name: str, content: bytes, random: Random) -> bytes:
    """A file with one to five kinds of damage.

    Args:
        name: Of the file; its ending says what the bytes stand for.
        content: What is in it.
        random: Chooses.
    """
    structured = next((damage for ending, damage in STRUCTURES.items() if name.endswith(ending)), None)
    if structured and random.random() < 0.6:
        try:
            content = structured(content, random)
        except (ValueError, OverflowError, RecursionError, yaml.YAMLError):  # what was put in cannot be written so
            return content
        if random.random() < 0.7:
            return content
    for _ in range(random.choice([1, 1, 2, 4])):
        content = _bytes(content, random)
    return content


def _bytes(content: bytes, random: Random) -> bytes:
    at, length = random.randrange(len(content) + 1), random.choice([1, 1, 2, 4, 8, 40, 400])
    inside, rest = content[at : at + length], content[at + length :]
    kind = random.randrange(7)
    if kind == 0 and inside:  # a bit
        inside = bytes([inside[0] ^ 1 << random.randrange(8)]) + inside[1:]
    elif kind == 1:
        inside = random.randbytes(len(inside))
    elif kind == 2:
        inside = b""
    elif kind == 3:
        inside = inside * random.choice([2, 3, 50])
    elif kind == 4:
        inside = random.choice(TOKENS) + random.choice([b"", inside])
    elif kind == 5:  # from elsewhere in the file
        start = random.randrange(len(content) + 1)
        inside = content[start : start + length]
    else:
        rest = random.choice([b"", rest, rest])
    return content[:at] + inside + rest


def _tree(value: Any, random: Random) -> Any:
    """A value with one part, however deep, that is another."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.15:
        return _other(value, random)
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place, changed = random.choice(places), value.copy()
    kind = random.randrange(10)
    if kind == 0:
        del changed[place]
    elif kind == 1 and isinstance(changed, dict):
        changed[random.choice(["", "x", "__class__", random.choice(places), "a" * 300])] = _other(value, random)
    elif kind == 1 and isinstance(changed, list):
        changed.insert(place, changed[random.choice(places)])
    elif kind == 2:  # two parts change places
        other = random.choice(places)
        changed[place], changed[other] = changed[other], changed[place]
    else:
        changed[place] = _tree(value[place], random)
    return changed


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, bool | None) or random.random() < 0.5:
        return random.choice(VALUES)
    if isinstance(value, int | float):
        return random.choice([-value, value + 1, value * 1e10, str(value), [value], float(value)])
    if isinstance(value, str):
        at = random.randrange(len(value) + 1)
        return value[:at] + str(random.choice(VALUES))[:200] + value[at:]
    return [value] if random.random() < 0.5 else {"x": value}


def _trees(value: Any, random: Random) -> Any:
    for _ in range(random.choice([1, 1, 2, 3])):
        value = _tree(value, random)
    return value


def _json(content: bytes, random: Random) -> bytes:
    return json.dumps(_trees(json.loads(content), random)).encode()


def _yaml(content: bytes, random: Random) -> bytes:
    changed = _trees(yaml.load(content, yaml.CSafeLoader), random)
    return yaml.dump(changed, Dumper=yaml.CSafeDumper).encode("utf-8", "surrogatepass")


def _lines(content: bytes, random: Random, change: Callable[[bytes, Random], bytes]) -> bytes:
    lines = content.splitlines(keepends=True)
    at, kind = random.randrange(len(lines)), random.randrange(6)
    if kind == 0:
        lines[at:at] = random.sample(lines, min(len(lines), random.randrange(1, 4)))
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        random.shuffle(lines)
    else:
        lines[at] = change(lines[at].rstrip(b"\n"), random) + b"\n"
    return b"".join(lines)


def _json_lines(content: bytes, random: Random) -> bytes:
    return _lines(content, random, _json)


def _cells(content: bytes, random: Random) -> bytes:
    def change(line: bytes, random: Random) -> bytes:
        cells = line.split(b",")
        others = [*TOKENS, str(random.choice(VALUES)).encode(errors="replace")]
        cells[random.randrange(len(cells))] = random.choice(others)
        return b",".join(cells)

    return _lines(content, random, change)


def _zip(content: bytes, random: Random) -> bytes:
    """Members are changed, named otherwise, doubled or left out; their checksums are right again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    at = random.randrange(len(members))
    name, inside = members[at]
    kind = random.randrange(6)
    if kind == 0:
        del members[at]
    elif kind == 1:
        names = ["../x", "/tmp/x", "..\\x", "a/../../x", "", "x" * 300, name + "/", "here/../x", "\x00", *dict(members)]
        members[at] = random.choice(names), inside
    elif kind == 2:
        members.append(members[at])
    elif name.endswith((".json", ".csv", ".npz")):
        members[at] = name, mutated(name, inside, random)
    else:
        members[at] = name, _bytes(inside[: random.choice([128, 10**9])], random)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, inside in members:
            entry = zipfile.ZipInfo(name)
            # A file, a link, a pipe, a device, a folder.
            entry.external_attr = random.choice([0o100644] * 8 + [0o120777, 0o010644, 0o020644, 0o040755]) << 16
            archive.writestr(entry, inside)
    return file.getvalue()


def _safetensors(content: bytes, random: Random) -> bytes:
    """The header is changed, and its length is right again, or not quite."""
    (size,) = struct.unpack("<Q", content[:8])
    header, rest = content[8 : 8 + size], content[8 + size :]
    header = _json(header, random) if random.random() < 0.8 else _bytes(header, random)
    size = len(header) if random.random() < 0.9 else random.choice([0, 1, size, 2**31, 2**63, 2**64 - 1])
    return struct.pack("<Q", size) + header + rest


STRUCTURES: dict[str, Callable[[bytes, Random], bytes]] = {
    ".json": _json,
    ".yaml": _yaml,
    ".jsonl": _json_lines,
    ".journal": _json_lines,
    ".csv": _cells,
    ".npz": _zip,
    ".zip": _zip,
    ".safetensors": _safetensors,
}
"""What changes what the bytes stand for, by the ending of a name."""
