"""The mark in what a judge answers, in the forms in which judges write one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER = r"(?<![\w.,\-])(-?\d+(?:[.,]\d+)?)(?!\w|[.,]\d)"
_NAME = r"(?:score|rating|mark|grade|verdict|overall)"
_WEAK_NAME = r"(?:points|preference|winner|choice|answer|result|final)"
"""What may also be said of the reply itself, unless a colon follows."""
_BEFORE = r"[^\w\d\n\-]*(?:an? )?"
_LABELLED = re.compile(
    rf"\b(?:{_NAME}\b[^\d\n:=]{{0,40}}?\s*(?::|=|->|→|\bis\b|\bwould be\b|\bof\b)|{_WEAK_NAME}\b\s*[:=])"
    rf"{_BEFORE}{_NUMBER}",
    re.I,
)
_BRACKETED = re.compile(rf"(?:\[\[|\\boxed\{{)\s*{_NUMBER}\s*(?:\]\]|\}})")
_SHARE = re.compile(rf"{_NUMBER}\s*(?:/|out of|of)\s*{_NUMBER}")
_TOLD = re.compile(
    rf"\b(?:give|gives|rate|rates|award|deserves?|gets?|say|assign|earns?|merits?)\b[^\d.;\n]{{0,40}}?{_NUMBER}", re.I
)
_ALONE = re.compile(_NUMBER)
_AT_START = re.compile(rf"\s*{_NUMBER}\s*(?:$|\n|[.,;:!\-\u2013\u2014(])")
_AT_END = re.compile(rf"{_NUMBER}[\s.!)]*$")
_ITEMS = re.compile(r"(?:^|\s)\d+[.)]\s+(?=\D)")
_LETTERS = re.compile(r"\[\[\s*(A>>B|A>B|A=B|B=A|B>A|B>>A|A<B|A<<B|A|B|C|tie)\s*\]\]", re.I)
_LETTER_VERDICTS = {
    **dict.fromkeys(("A>>B", "A"), 1.0),
    "A>B": 1.25,
    **dict.fromkeys(("A=B", "B=A", "C", "TIE"), 1.5),
    **dict.fromkeys(("B>A", "A<B"), 1.75),
    **dict.fromkeys(("B>>A", "A<<B", "B"), 2.0),
}
"""How MT-bench and Arena-Hard write verdicts on pairs, from 1 (the first is better) to 2."""
_REFUSAL = re.compile(
    r"\b(?:can(?:no|')t|can not|unable to|not able to|won't|will not|refuse to|decline to|impossible to)\s+"
    r"(?:\w+\s+){0,3}?(?:rate|score|judge|mark|grade|evaluate|assess|compare|give|provide|assign|assist|help|comply|determine)\b",
    re.I,
)


def read_number(answer: str, low: float, high: float) -> float | None:
    """The mark in an answer, or None where there is none from `low` to `high`.

    What a model thinks aloud, up to `</think>`, is not its answer, and thoughts without an end have none. Of JSON, the
    last object counts; of text, the last mark that is called one, stands in double brackets or is given `out of` the
    highest; without such a mark, the number that is all there is, begins the answer or ends it. Numbers of lists, of
    the scale itself and in words (`GPT4`, `2nd`) are none, and a refusal to judge has none.

    Args:
        answer: Of the judge.
        low: The lowest mark.
        high: The highest mark.
    """
    thoughts, _, answer = answer.rpartition("</think>")
    if not thoughts and "<think>" in answer:
        return None
    answer = answer.replace("\u2019", "'")
    found = _in_json(answer, low, high)
    if found is None:
        found = _in_text(re.sub(r"[*_`\"\u201c\u201d]", "", answer), low, high)
    return found if found is not None and low <= found <= high else None


def _in_json(answer: str, low: float, high: float) -> float | None:
    marks = [mark for each in _objects(answer) if (mark := _mark(each, low, high)) is not None]
    return marks[-1] if marks else None


def _objects(answer: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, one after the other."""
    decoder, place = json.JSONDecoder(), answer.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(answer, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            yield value
        place = answer.find("{", end)


def _mark(fields: dict[str, Any], low: float, high: float) -> float | None:
    labelled = sorted(
        (name for name in fields if re.search(rf"{_NAME}|{_WEAK_NAME}", name, re.I)),
        key=lambda name: ("overall" not in name.lower() and "final" not in name.lower(), len(name)),
    )
    for name in labelled:
        if (mark := _value(fields[name], low, high)) is not None:
            return mark
    nested = [
        mark for each in fields.values() if isinstance(each, dict) and (mark := _mark(each, low, high)) is not None
    ]
    numbers = [value for value in fields.values() if _is_number(value)]
    return nested[-1] if nested else float(numbers[0]) if len(numbers) == 1 else None


def _value(value: Any, low: float, high: float) -> float | None:
    if _is_number(value):
        return float(value)
    if isinstance(value, dict):
        return _mark(value, low, high)
    return _in_text(value, low, high) if isinstance(value, str) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_text(text: str, low: float, high: float) -> float | None:
    if high == 100:
        text = text.replace("%", "")
    if (low, high) == (1, 2) and (letters := list(_LETTERS.finditer(text))):
        return _LETTER_VERDICTS[letters[-1][1].upper()]
    text = _without_scale(text, low, high)
    marks = [(match.end(), _float(match[1])) for match in _SHARE.finditer(text) if _float(match[2]) == high]
    text = _SHARE.sub(lambda match: match[0] if _float(match[2]) == high else " " * len(match[0]), text)
    marks += [(match.end(), _float(match[1])) for each in (_LABELLED, _BRACKETED) for match in each.finditer(text)]
    if marks:
        return max(marks)[1]
    if _REFUSAL.search(text):
        return None
    told = [_float(match[1]) for match in _TOLD.finditer(text)]
    if told:
        return told[-1]
    return _unnamed(text, low, high)


def _unnamed(text: str, low: float, high: float) -> float | None:
    """A number that nothing calls a mark, where it can be nothing else."""
    if len(_ITEMS.findall(text)) > 1:
        text = _ITEMS.sub(" ", text)
    within = {number for match in _ALONE.finditer(text) if low <= (number := _float(match[1])) <= high}
    if len(within) == 1:
        return within.pop()
    at = [match for match in (_AT_START.match(text), _AT_END.search(text)) if match]
    return next((number for match in at if (number := _float(match[1])) in within), None)


def _without_scale(text: str, low: float, high: float) -> str:
    """Where an answer repeats the scale (`from 1 to 10`, `(1-10)`), it says nothing."""
    first, last = (f"{limit:g}".replace(".", r"\.") for limit in (low, high))
    scale = rf"(?<![\w.])(?:{first}|0)\s*(?:-|\u2013|\u2014|to|and|through|\.\.+)\s*{last}(?!\w|\.\d)|\(out of {last}\)"
    return re.sub(scale, " ", text)


def _float(number: str) -> float:
    return float(number.replace(",", "."))
