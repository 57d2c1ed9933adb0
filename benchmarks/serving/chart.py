"""Panels of horizontal bars as SVG, by hand: one picture is no reason for a plotting library.

Knows text and rectangles; knows nothing of what they mean. A panel's first bar is the one that is looked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _LABELS, _BARS, _BAR, _GAP, _TITLE = 720, 170, 470, 16, 6, 34
_FIRST, _OTHERS = "#1f6feb", "#9aa4b2"


@dataclass(frozen=True)
class Panel:
    """One group of bars."""

    title: str
    bars: Sequence[tuple[str, float]]


def draw(panels: Sequence[Panel]) -> str:
    """Return the SVG document."""
    lines, top = list[str](), 0
    for panel in panels:
        lines += _panel(panel, top)
        top += _TITLE + len(panel.bars) * (_BAR + _GAP) + _GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
        'font-family="sans-serif" font-size="12">'
    )
    background = f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>'
    return "\n".join([head, background, *lines, "</svg>", ""])


def _panel(panel: Panel, top: int) -> Iterator[str]:
    yield _text(8, top + 22, panel.title, "start", "bold")
    largest = max(value for _, value in panel.bars) or 1.0
    for number, (name, value) in enumerate(panel.bars):
        y = top + _TITLE + number * (_BAR + _GAP)
        width = round(_BARS * value / largest, 1)
        colour = _OTHERS if number else _FIRST
        yield _text(_LABELS - 8, y + 12, name, "end")
        yield f'<rect x="{_LABELS}" y="{y}" width="{width}" height="{_BAR}" fill="{colour}"/>'
        yield _text(_LABELS + width + 6, y + 12, f"{value:.4g}", "start")


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="#1c2024"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'
