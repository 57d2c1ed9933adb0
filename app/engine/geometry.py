"""Sizes and rectangles in whole pixels; knows no pictures."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; `x`, `y` is its upper left corner.

    Its text is `x,y,width,height` without blanks: two boxes are the same if their texts are.
    """

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"

    @classmethod
    def whole(cls, image: Size) -> Self:
        """Return all of an image."""
        return cls(0, 0, image.width, image.height)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `x,y,width,height`, with or without blanks.

        Raises:
            ValueError: these are not four numbers, or the box is empty.
        """
        x, y, width, height = (int(part) for part in text.split(","))
        if not width or not height:
            raise ValueError("width and height must be 1 or more")
        return cls(x, y, width, height)


def scaled(area: Box, image: Size, drawn: Size) -> Box:
    """Return where an area of an image lies once it is drawn at another size; at least one pixel."""
    x_scale, y_scale = drawn.width / image.width, drawn.height / image.height
    left = min(round(area.x * x_scale), drawn.width - 1)
    top = min(round(area.y * y_scale), drawn.height - 1)
    right = max(left + 1, round((area.x + area.width) * x_scale))
    bottom = max(top + 1, round((area.y + area.height) * y_scale))
    return Box(left, top, right - left, bottom - top)
