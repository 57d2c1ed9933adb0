"""Kinds of values that parameters have: what two readers could take for two things is refused.

Knows values; knows no parameter.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, InstanceOf, StringConstraints, WithJsonSchema

from app.engine.geometry import Box

_DECIMAL = re.compile(r" *-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *")
_LONGEST_NUMBER = 64
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_BOX = re.compile(r"\s*[0-9]{1,9}\s*(,\s*[0-9]{1,9}\s*){3}")


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
            raise ValueError("a plain number is expected, such as 0.5 or 5e-1")
    return _no_bool(value)


def _plain_integer(value: Any) -> Any:
    """Take what every reader takes for the same whole number: 17 and "17", not 17.0, +17 or 1_7."""
    plain = value if isinstance(value, str) else str(_no_bool(value))
    if _DIGITS.fullmatch(plain) is None:
        raise ValueError("a whole number is expected, written in digits only")
    return int(plain)


def _box(value: Any) -> Box:
    if not isinstance(value, str) or _BOX.fullmatch(value) is None:
        raise ValueError("four whole numbers are expected: x,y,width,height")
    return Box.parse(value)


STRICT_NUMBER = BeforeValidator(_plain_number)
STRICT_INTEGER = BeforeValidator(_plain_integer)
Score = Annotated[float, STRICT_NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]
Text128 = Annotated[str, StringConstraints(max_length=128)]
ProductName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
ImagePath = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Roi = Annotated[
    InstanceOf[Box],
    BeforeValidator(_box),
    WithJsonSchema({"type": "string", "pattern": f"^{_BOX.pattern}$"}),
]
