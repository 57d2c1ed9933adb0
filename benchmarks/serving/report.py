"""Results as tables and a chart.

    .venv/bin/python -m benchmarks.serving.report RESULTS.json [--chart docs/serving.svg]

Figures are medians over rounds; ratios are medians of the rounds' own ratios, so that a round on a slower
machine counts like any other.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.markdown import row, rule
from benchmarks.serving.chart import Panel, draw
from benchmarks.serving.peers import OURS

NAMES = {
    "ssvp": "SSVP Inspect",
    "litserve": "LitServe",
    "bentoml": "BentoML",
    "triton": "Triton (PyTriton)",
    "ray": "Ray Serve",
    "fastapi": "FastAPI, no batching",
}
Measured = dict[str, Any]
Value = Callable[[Measured], float]


@dataclass(frozen=True)
class Column:
    """One figure of one load.

    Attributes:
        title: of the column.
        load: which one.
        value: the figure.
        digits: after the point.
    """

    title: str
    load: str
    value: Value
    digits: int = 1


def _figure(name: str, factor: float = 1.0) -> Value:
    return lambda measured: factor * float(measured["figures"][name])


_THROUGHPUT, _P50, _P99 = _figure("throughput"), _figure("p50_ms"), _figure("p99_ms")
_IN_TIME = _figure("in_time", 100)


def _errors(measured: Measured) -> float:
    sent, served = int(measured["figures"]["sent"]), int(measured["figures"]["served"])
    return 100 * (sent - served) / max(1, sent)


CLOSED = tuple(
    column
    for clients in (1, 8, 32)
    for column in (
        Column(f"{clients}: images/s", f"closed {clients}", _THROUGHPUT),
        Column("p50", f"closed {clients}", _P50, 0),
        Column("p99", f"closed {clients}", _P99, 0),
    )
)
OPEN = tuple(
    column
    for load in ("open 50 %", "open 80 %", "open 120 %")
    for column in (
        Column(f"{load.removeprefix('open ')}: p50", load, _P50, 0),
        Column("p99", load, _P99, 0),
        Column("in time, %", load, _IN_TIME),
        Column("no verdict, %", load, _errors),
    )
)
TARGETS = (
    Column("images/s, 8 clients", "closed 8", _THROUGHPUT, 2),
    Column("images/s, 32 clients", "closed 32", _THROUGHPUT, 2),
    Column("p99 at 80 %", "open 80 %", _P99, 2),
    Column("in time at 120 %", "open 120 %", _IN_TIME, 2),
)


class Results:
    """Rounds of bouts, by server and load."""

    def __init__(self, found: Measured) -> None:
        self.found = found
        self._rounds: list[list[Measured]] = found["rounds"]
        self.peers = list(dict.fromkeys(bout["peer"] for bout in self._rounds[0]))

    def values(self, peer: str, column: Column) -> list[float]:
        """Return a figure, round by round."""
        return [
            column.value(bout)
            for bouts in self._rounds
            for bout in bouts
            if (bout["peer"], bout["load"]) == (peer, column.load)
        ]

    def median(self, peer: str, column: Column) -> float:
        """Return a figure's median over rounds."""
        return statistics.median(self.values(peer, column))

    def ratio(self, peer: str, column: Column) -> float:
        """Return the median of the rounds' ratios of this service's figure to a peer's."""
        pairs = zip(self.values(OURS, column), self.values(peer, column), strict=True)
        return statistics.median(
            ours / theirs if theirs else float("inf") for ours, theirs in pairs
        )

    def mebibytes(self, peer: str) -> float:
        """Return the proportional set size of its processes after a load, alone on the machine."""
        return float(self.found["memory"][peer]["pss_mib"])

    def layout(self, peer: str) -> str:
        """Return workers and threads of each."""
        workers, threads = next(b["layout"] for b in self._rounds[0] if b["peer"] == peer)
        return f"{workers} x {threads}"


def tables(results: Results) -> Iterator[str]:
    """Yield the lines of all tables, in Markdown."""
    yield from _table(results, CLOSED)
    yield ""
    yield from _table(results, OPEN)
    yield ""
    yield row(["ours / theirs", *(c.title for c in TARGETS), "memory, MiB", "workers x threads"])
    yield rule(len(TARGETS) + 3)
    for peer in results.peers:
        ratios = ["1" if peer == OURS else f"{results.ratio(peer, c):.2f}" for c in TARGETS]
        memory, layout = f"{results.mebibytes(peer):.0f}", results.layout(peer)
        yield row([NAMES[peer], *ratios, memory, layout])


def _table(results: Results, columns: Sequence[Column]) -> Iterator[str]:
    yield row(["", *(column.title for column in columns)])
    yield rule(len(columns) + 1)
    for peer in results.peers:
        yield row([NAMES[peer], *(f"{results.median(peer, c):.{c.digits}f}" for c in columns)])


def panels(results: Results) -> list[Panel]:
    """Return the chart's panels: the figures the targets are about."""
    titles = (
        "images/s, 8 clients",
        "images/s, 32 clients",
        "p99 at 80 % load, ms (less is better)",
        "in time at 120 % load, %",
    )
    return [
        Panel(title, [(NAMES[peer], results.median(peer, column)) for peer in results.peers])
        for title, column in zip(titles, TARGETS, strict=True)
    ]


def main() -> None:
    """Print the tables, draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--chart", type=Path, help="SVG to write")
    options = parser.parse_args()
    results = Results(json.loads(options.results.read_text()))
    print(*tables(results), sep="\n")
    if options.chart:
        options.chart.write_text(draw(panels(results)))


if __name__ == "__main__":
    main()
