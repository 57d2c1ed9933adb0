"""`ssvp evaluate`: measure a bundle, zero-shot, through the very runtime that serves it, or the baseline.

Knows the runtime and the evaluation; knows no HTTP.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.runtime.protocol import Query, Runtime
from app.runtime.ssvp import load_runtime
from model.baselines.mahalanobis import score_mahalanobis
from model.data.folder import list_items, read_item
from model.data.held_out import held_out_samples
from model.data.procedural import HELD_OUT_FAMILIES
from model.evaluate import Report, Scored, Scorer, measure
from model.types import Sample

PROCEDURAL = "procedural"
BASELINE = "mahalanobis"


@dataclass(frozen=True)
class Source:
    """Samples and how many there are."""

    samples: Iterable[Sample]
    count: int


def evaluate(
    bundle: str, data: str, product: str | None, pairs: int, device: str, console: Console
) -> Report:
    """Measure a bundle and print the table.

    Args:
        bundle: folder, name of a shipped bundle, or `BASELINE` for the one that has learned nothing.
        data: folder in MVTec-AD's layout, or `PROCEDURAL` for the families that were held out.
        product: product name to use instead of each category's.
        pairs: procedural pairs per family.
        device: `auto`, `cpu` or `cuda:0`.
        console: where the table goes.

    Raises:
        model.data.folder.DataLayoutError: the folder is not in that layout.
        StartError: the bundle or the device cannot be used.
    """
    source = _source(data, product, pairs)
    scorer = score_mahalanobis if bundle == BASELINE else _scorer(load_runtime(bundle, device))
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("evaluate", total=source.count)
        report = measure(
            source.samples, scorer, progress=lambda count: progress.advance(task, count)
        )
    console.print(_table(report))
    return report


def _scorer(runtime: Runtime) -> Scorer:
    def score(samples: Sequence[Sample]) -> list[Scored]:
        queries = [Query(runtime.prepare(s.image), s.product) for s in samples]
        return [Scored(p.score, p.anomaly_map) for p in runtime.predict(queries)]

    return score


def _source(data: str, product: str | None, pairs: int) -> Source:
    if data == PROCEDURAL:
        samples = held_out_samples(pairs, size_px=256)
        renamed = (s if product is None else replace(s, product=product) for s in samples)
        return Source(renamed, 2 * pairs * len(HELD_OUT_FAMILIES))
    items = list_items(Path(data))
    return Source((read_item(item, product) for item in items), len(items))


def _table(report: Report) -> Table:
    heading, *rows = report.rows()
    table = Table(*heading)
    for row in rows:
        table.add_row(*row)
    return table
