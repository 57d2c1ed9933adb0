"""The figures of a table's runs, ours beside the paper's: mean and spread over seeds, as JSON and Markdown.

Knows figures and their files; runs nothing.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.checkpoint import save_json
from model.reproduce.paper import paper_value

ALL_METRICS = ("image_auroc", "image_f1_max", "image_ap", "pixel_auroc", "pro", "pixel_ap")
METRICS: Mapping[str, tuple[str, ...]] = {
    "1": ALL_METRICS,
    "4": ("TIR-FG", "SCD-normal", "SCD-abnormal"),
}
TWO_METRICS = ("image_auroc", "pixel_auroc")
NOTE = (
    "Ours: mean over seeds, ± their standard deviation, in percent but for table 4; (in brackets) the paper's"
    " figure, arXiv 2601.09147v2. What stands without brackets the paper does not report. Pixel figures and PRO"
    " are taken at the size of the model's anomaly map, in the paper at 518 px."
)


@dataclass(frozen=True)
class Cell:
    """One figure: the mean over `seeds` runs, their standard deviation (0 for one run), the paper's or None."""

    row: str
    dataset: str
    category: str | None
    metric: str
    ours: float | None
    spread: float
    seeds: int
    paper: float | None


def cells(
    table: str, row: str, dataset: str, reports: Sequence[Mapping[str, Any]]
) -> Iterable[Cell]:
    """Yield the cells of one row on one data set from the reports of its seeds."""
    scale = 1.0 if table == "4" else 100.0
    for category, metric in _wanted(table, reports[0]):
        values = [_figure(table, r, category, metric) for r in reports]
        known = [scale * v for v in values if v is not None]
        yield Cell(
            row=row,
            dataset=dataset,
            category=category,
            metric=metric,
            ours=statistics.fmean(known) if known else None,
            spread=statistics.stdev(known) if len(known) > 1 else 0.0,
            seeds=len(known),
            paper=paper_value(table, row, dataset, category, metric),
        )


def save_table(
    table: str,
    found: Sequence[Cell],
    missing: Sequence[str],
    cautions: Mapping[str, Sequence[str]],
    folder: Path,
) -> Path:
    """Write `table-T.json` and `table-T.md` and return the latter.

    Args:
        table: its name.
        found: its cells.
        missing: rows that were not run, and why.
        cautions: why the paper's figures may be no fair comparison, by data set.
        folder: made where there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {"table": table, "cells": [asdict(c) for c in found], "not_run": list(missing)}
    save_json({**values, "cautions": cautions}, folder / f"table-{table}.json")
    path = folder / f"table-{table}.md"
    doubts = [f"- {dataset}: {c}" for dataset, of_set in cautions.items() for c in of_set]
    lines = [f"# Table {table}", "", NOTE, "", *_markdown(found, missing)]
    path.write_text("\n".join([*lines, *(["", *doubts] if doubts else [])]) + "\n")
    return path


def _wanted(table: str, report: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    metrics = METRICS.get(table, TWO_METRICS)
    if table == "2":
        return [(name, metric) for name in report["categories"] for metric in metrics]
    return [(None, metric) for metric in metrics]


def _figure(
    table: str, report: Mapping[str, Any], category: str | None, metric: str
) -> float | None:
    if table == "4":
        part: Mapping[str, Any] = report.get("alignment", {})
    else:
        part = report["macro"] if category is None else report["categories"][category]
    value = part.get(metric)
    return None if value is None or math.isnan(value) else float(value)


def _markdown(found: Sequence[Cell], missing: Sequence[str]) -> list[str]:
    metrics = list(dict.fromkeys(c.metric for c in found))
    lines = [
        f"| row | data | {' | '.join(metrics)} |",
        f"|---|---|{'--:|' * len(metrics)}",
    ]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for cell in found:
        where = cell.dataset if cell.category is None else f"{cell.dataset} {cell.category}"
        rows.setdefault((cell.row, where), {})[cell.metric] = _text(cell)
    for (row, where), texts in rows.items():
        lines.append(f"| {row} | {where} | {' | '.join(texts.get(m, '') for m in metrics)} |")
    return [*lines, *(["", "Not run: " + "; ".join(missing) + "."] if missing else [])]


def _text(cell: Cell) -> str:
    digits = 1 if cell.metric in ALL_METRICS else 4
    ours = "-" if cell.ours is None else f"{cell.ours:.{digits}f}"
    if cell.seeds > 1:
        ours += f" ± {cell.spread:.{digits}f}"
    return ours if cell.paper is None else f"{ours} ({cell.paper:.{digits}f})"
