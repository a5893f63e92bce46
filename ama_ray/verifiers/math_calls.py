"""What runs in the process of `MathVerifier`, as sympy may take for ever: the calls of math-verify."""

from __future__ import annotations

import logging

from math_verify import parse, verify

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of every call that it is not to end by itself


def equal(right: str, reply: str | None) -> list[float]:
    """1 where the last answer in a reply is mathematically the right one, else 0.

    Without a reply, 1 where the right answer can be read.
    """
    answer = parse(right, parsing_timeout=None)
    if reply is None:
        return [float(bool(answer))]
    return [float(verify(answer, parse(reply, parsing_timeout=None), timeout_seconds=None))]
