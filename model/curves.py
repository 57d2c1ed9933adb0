"""The losses of a run as CSV, one line a step, for any spreadsheet or plot.

Knows steps and numbers; knows nothing of what they mean.
"""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

CURVES_FILE = "curves.csv"


class Curves(Protocol):
    """Take the values of one step."""

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        """Write a line; the first one's names become the columns."""
        ...


@contextmanager
def open_curves(run: Path, step: int) -> Iterator[Curves]:
    """Open a run's curves to go on after `step`; lines of later steps, lost by a stop, are dropped."""
    path = run / CURVES_FILE
    kept = _lines_until(path, step)
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows(kept)
        stream.flush()
        # Now, not after the next step: a run that is killed before it keeps its earlier lines.
        partial.replace(path)

        def write(step: int, values: Mapping[str, float]) -> None:
            if stream.tell() == 0:
                writer.writerow(["step", *values])
            writer.writerow([step, *(f"{v:.6g}" for v in values.values())])
            stream.flush()  # someone may be watching

        yield write


def _lines_until(path: Path, step: int) -> list[list[str]]:
    if step == 0 or not path.exists():
        return []
    with path.open(newline="") as stream:
        lines = list(csv.reader(stream))
    # The heading, if there is one, and what was saved.
    return lines[:1] + [line for line in lines[1:] if line and int(line[0]) <= step]
