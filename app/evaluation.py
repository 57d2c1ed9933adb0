"""`ssvp evaluate`: measure a bundle, zero-shot, through the very runtime that serves it.

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
from model.data.folder import list_items, read_item
from model.data.held_out import held_out_samples
from model.data.procedural import HELD_OUT_FAMILIES
from model.evaluate import Report, Scored, Scorer, measure
from model.types import Sample

PROCEDURAL = "procedural"


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
        bundle: folder, or the name of a shipped bundle.
        data: folder in MVTec-AD's layout, or `PROCEDURAL` for the families that were held out.
        product: product name to use instead of each category's.
        pairs: procedural pairs per family.
        device: `auto`, `cpu` or `cuda:0`.
        console: where table and progress go.

    Raises:
        model.data.folder.DataLayoutError: the folder is not in that layout.
        StartError: the bundle or the device cannot be used.
    """
    source = _source(data, product, pairs)
    runtime = load_runtime(bundle, device)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("evaluate", total=source.count)
        report = measure(
            source.samples, _scorer(runtime), progress=lambda count: progress.advance(task, count)
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
    table = Table("category", "defect", "images", "image AUROC", "pixel AUROC")
    for name, category in report.categories.items():
        total = category.normal + category.anomalous
        table.add_row(
            name, "all", str(total), *_figures(category.image_auroc, category.pixel_auroc)
        )
        for defect, found in category.defects.items():
            table.add_row(
                "", defect, str(found.images), *_figures(found.image_auroc, found.pixel_auroc)
            )
    macro = report.macro
    table.add_section()
    table.add_row("mean", "all", "", *_figures(macro.image_auroc, macro.pixel_auroc))
    table.add_row("mean", "per defect", "", "", f"{macro.defect_pixel_auroc:.3f}")
    return table


def _figures(*values: float) -> list[str]:
    return [f"{v:.3f}" for v in values]
