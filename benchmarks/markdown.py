"""Rows of tables that can be pasted into a document."""

from collections.abc import Iterable


def row(cells: Iterable[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def rule(columns: int) -> str:
    """Return the line below a heading; all columns but the first hold numbers."""
    return row(["---", *["--:"] * (columns - 1)])
