"""How DROP compares answers: the official script (allenai/allennlp-reading-comprehension, drop_eval.py)."""

from __future__ import annotations

import re
import string

Bag = frozenset[str]
"""The distinct words of a span."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def bag(span: str) -> Bag:
    """The normalised words of a span: hyphens divide words, and numbers are compared by value."""
    words = (_ARTICLES.sub(" ", _plain(word.lower())) for word in re.split("[ -]", span))
    return frozenset(" ".join(words).split())


def f1(reply: Bag, answer: tuple[Bag, ...]) -> float:
    """F1 of a reply, which is one span, against the spans of an answer, rounded to two digits as in the script.

    The script pairs spans one to one in the best way and counts those without a partner as 0.
    """
    return round(max(_f1(reply, span) for span in answer) / len(answer), 2)


def _f1(reply: Bag, span: Bag) -> float:
    numbers = {word for word in span if _is_number(word)}
    if numbers and not numbers & reply:
        return 0.0
    shared = len(reply & span)
    precision = shared / len(reply) if reply else 1.0
    recall = shared / len(span) if span else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _plain(word: str) -> str:
    # A number keeps its point and its sign, so that it can be told from others.
    plain = word if _is_number(word) else word.translate(_NO_PUNCTUATION)
    return str(float(plain)) if _is_number(plain) else plain


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
