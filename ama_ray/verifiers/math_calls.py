"""What runs in the process of `MathVerifier`, as sympy may take for ever: the calls of math-verify."""

from __future__ import annotations

import logging

from math_verify import parse, verify

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of every call that it is not to end by itself


def count(text: str) -> list[float]:
    """How many readings a right answer has."""
    return [float(len(parse(text, parsing_timeout=None)))]


def equal(right: str, reply: str) -> list[float]:
    """1 where the last answer in a reply is mathematically the right one, else 0."""
    found = parse(reply, parsing_timeout=None)
    return [float(verify(parse(right, parsing_timeout=None), found, timeout_seconds=None))]
