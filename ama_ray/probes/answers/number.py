"""The number that a text ends in, as GSM8K's answers do."""

from __future__ import annotations

import re
from decimal import Decimal

_MARK = "####"
# A minus sign right after a word or a bracket is an operator or a hyphen.
_NUMBER = re.compile(r"((?<![\w)])[-\u2212])?\$?((?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+)")


def number(text: str) -> Decimal | None:
    """The last number of a text, or the first after `####`; None where it has none.

    Commas between thousands, a dollar sign and a trailing full stop are not part of it.
    """
    _, _, marked = text.partition(_MARK)
    matches = list(_NUMBER.finditer(marked))[:1] or list(_NUMBER.finditer(text))
    if not matches:
        return None
    sign, digits = matches[-1].groups()
    value = Decimal(digits.replace(",", ""))
    return -value if sign else value
