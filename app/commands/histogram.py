"""Scores as a picture made of characters.

Knows numbers; knows nothing of where they come from.
"""

import math
from collections.abc import Sequence

_WIDTH, _MOST_BINS = 40, 16
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def histogram(scores: Sequence[float], threshold: float) -> list[str]:
    """Return the lines of a histogram of scores, the threshold a line of its own in its place.

    Bins are as wide as a round number, 0.01 or 0.02 or 0.05 and so on, and begin at its multiples.
    """
    low, high = min(*scores, threshold), max(*scores, threshold)
    width = _round_width((high - low) / _MOST_BINS)
    first = math.floor(low / width + 1e-9)
    count = math.floor(high / width + 1e-9) - first + 1
    bins = [0] * count
    for score in scores:
        bins[min(count - 1, max(0, math.floor(score / width + 1e-9) - first))] += 1
    digits = max(2, -math.floor(math.log10(width)))
    lines = []
    for i, number in enumerate(bins):
        start = (first + i) * width
        lines.append(f"{start:.{digits}f} │{_bar(number / max(bins))} {number or ''}".rstrip())
        if start <= threshold + 1e-9 < start + width:
            lines.append(f"{'':>{digits + 2}} ┝━ {threshold:.4f} threshold")
    return lines


def _round_width(least: float) -> float:
    if least <= 0:
        return 0.01
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _bar(share: float) -> str:
    eighths = math.ceil(share * _WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
