"""Kinds of values that parameters have: what two readers could take for two things is refused.

Knows values; knows no parameter.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints

from app.engine.regions import Box


def _no_bool(value: object) -> object:
    """Refuse true and false where a number is meant: `"threshold": true` would pass every part."""
    if isinstance(value, bool):
        raise ValueError("a number is expected, not true or false")
    return value


def parse_box(text: str) -> Box:
    """Read `x,y,width,height`.

    Raises:
        ValueError: these are not four numbers, or the box is empty.
    """
    x, y, width, height = (int(part) for part in text.split(","))
    if not width or not height:
        raise ValueError("width and height must be 1 or more")
    return Box(x, y, width, height)


def checked_box(text: str) -> str:
    """Return the text if it is a box."""
    parse_box(text)
    return text


def _plain_integer(value: Any) -> Any:
    """Take what every reader takes for the same whole number: 17 and "17", not 17.0, +17 or 1_7."""
    plain = value if isinstance(value, str) else str(_no_bool(value))
    if re.fullmatch(r"-?[0-9]{1,20}", plain) is None:
        raise ValueError("a whole number is expected, digits and nothing else")
    return int(plain)


Number = BeforeValidator(_no_bool)
Integer = BeforeValidator(_plain_integer)
Text128 = Annotated[str, StringConstraints(max_length=128)]
ProductName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
