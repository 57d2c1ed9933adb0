"""Kinds of values that parameters have: what two readers could take for two things is refused.

Knows values; knows no parameter.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from app.engine.geometry import Box

_DECIMAL = re.compile(r" *-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_LONGEST_NUMBER = 64
_DIGITS = re.compile(r"-?[0-9]{1,20}")


def _no_bool(value: Any) -> Any:
    """Refuse true and false where a number is meant: `"threshold": true` would pass every part."""
    if isinstance(value, bool):
        raise ValueError("a number is expected, not true or false")
    return value


def _plain_number(value: Any) -> Any:
    """Take text that every reader takes for the same number: "0.5", "5e-1", " 5", but not "1_0" or "+5"."""
    if isinstance(value, str):
        short = len(value) <= _LONGEST_NUMBER  # no caller sends megabytes of digits for nothing
        if not short or _DECIMAL.fullmatch(value) is None:
            raise ValueError("a number is expected, plain and nothing else")
    return _no_bool(value)


def checked_box(text: str) -> str:
    """Return the text if it is a box."""
    Box.parse(text)
    return text


def _plain_integer(value: Any) -> Any:
    """Take what every reader takes for the same whole number: 17 and "17", not 17.0, +17 or 1_7."""
    plain = value if isinstance(value, str) else str(_no_bool(value))
    if _DIGITS.fullmatch(plain) is None:
        raise ValueError("a whole number is expected, digits and nothing else")
    return int(plain)


ROI_PATTERN = r"^\s*[0-9]{1,9}\s*(,\s*[0-9]{1,9}\s*){3}$"
STRICT_NUMBER = BeforeValidator(_plain_number)
STRICT_INTEGER = BeforeValidator(_plain_integer)
Score = Annotated[float, STRICT_NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]
Text128 = Annotated[str, StringConstraints(max_length=128)]
ProductName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
