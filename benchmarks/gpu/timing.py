"""How long work takes on a device, and tables of it that can be pasted into a document.

Knows clocks and columns; knows no model.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.markdown import row, rule

TRIES = 10


def fastest_s(work: Callable[[], object], device: torch.device) -> float:
    """Return the shortest of some runs, each waited for; one before them is not counted."""
    took = []
    for _ in range(1 + TRIES):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        took.append(time.perf_counter() - began)
    return min(took[1:])


def wait(device: torch.device) -> None:
    """Wait for all that a device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class Ceiling:
    """What a device can do at most, in floating-point operations a second, and how much work is told by it."""

    flops_per_s: float

    def share(self, flops: float, seconds: float) -> str:
        """Return a rate as a table says it: TFLOP/s, and the part of the ceiling that it is."""
        rate = flops / seconds
        return f"{rate / 1e12:.0f} ({rate / self.flops_per_s:.0%})"


def ms(seconds: float) -> str:
    """Return a time as a table says it."""
    return f"{1e3 * seconds:.2f}"


class Table:
    """A Markdown table, printed row by row: what was measured before an error is not lost.

    Args:
        title: a line above it.
        columns: their headings.
    """

    def __init__(self, title: str, *columns: str) -> None:
        self._width = len(columns)
        print(f"\n{title}\n")
        self.row(*columns)
        print(rule(self._width))

    def row(self, *cells: object) -> None:
        """Print a row.

        Raises:
            ValueError: it has not as many cells as there are columns.
        """
        if len(cells) != self._width:
            raise ValueError(f"{len(cells)} cells in {self._width} columns")
        print(row(cells), flush=True)
