"""A bundle measured, zero-shot, through the very runtime that serves it; or the baseline.

Knows the runtime and the evaluation; knows no HTTP.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich import box
from rich.table import Table

from app.commands.terminal import progress_bar, write_line, write_table
from app.runtime.lanes import SideBySide
from app.runtime.protocol import Query, Runtime
from app.runtime.ssvp import load_runtime
from model.baselines.mahalanobis import score_mahalanobis
from model.bundle import open_bundle
from model.data.held_out import held_out_samples
from model.data.manifest import open_data
from model.data.pixels import read_sample
from model.data.procedural import HELD_OUT_FAMILIES
from model.data.row import PROCEDURAL
from model.evaluate import ScoredImage, Scorer, measure
from model.pictures import Gallery
from model.report import (
    SHORT_COLUMNS,
    About,
    cautions,
    save_report,
    seen_note,
    table,
    unmarked_note,
)
from model.types import Sample

BASELINE = "mahalanobis"
TERMINAL_HEADINGS = ("I-AUROC", "F1-max", "I-AP", "P-AUROC", "P-AP", "PRO")  # of SHORT_COLUMNS


@dataclass(frozen=True)
class _Source:
    """Samples, how many there are, their files, and the data set's name where all are of one."""

    samples: Iterable[Sample]
    count: int
    names: Sequence[str] = ()
    dataset: str | None = None


def evaluate_bundle(
    bundle: str,
    data: str,
    *,
    product: str | None,
    pairs: int,
    device: str,
    out: Path | None,
    pictures: int,
) -> None:
    """Measure, print the table and write the report.

    Args:
        bundle: folder, name of a shipped bundle, or `BASELINE` for the one that has learned nothing.
        data: manifest, folder in MVTec-AD's layout, or `PROCEDURAL` for the families that were held out.
        product: product name to use instead of each category's.
        pairs: procedural pairs per family.
        device: `auto`, `cpu` or `cuda:0`.
        out: folder for report and pictures, or None.
        pictures: pictures per category.

    Raises:
        model.data.row.DataLayoutError: the data cannot be read.
        StartError: the bundle or the device cannot be used.
    """
    source = _source(data, product, pairs)
    scorer, name = _scorer(bundle, device)
    if out is not None:
        # If it cannot be made, that is known before an hour's work, not after.
        out.mkdir(parents=True, exist_ok=True)
    gallery = Gallery(pictures if out else 0, source.names)
    with progress_bar("evaluate", source.count) as advance:
        report = measure(source.samples, scorer, progress=advance, watch=gallery.add)
    about = About(name, Path(data).resolve().name, source.dataset, _trained_on(bundle))
    write_table(_for_terminal(table(report, about, SHORT_COLUMNS)))
    for note in filter(None, (unmarked_note(report), seen_note(about))):
        write_line(note, "yellow")
    for caution in cautions(report, about.dataset):
        write_line(f"The paper's rows: {caution}", "yellow")
    if out is not None:
        save_report(report, about, out)
        if pictures:
            gallery.save(out, f"{about.model} on {about.data}")


def _for_terminal(rows: Sequence[Sequence[str]]) -> Table:
    """Lay the table out for 80 columns: a defect stands indented below its category."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("category", no_wrap=True)
    for name in ("images", *TERMINAL_HEADINGS):
        shown.add_column(name, justify="right")
    for category, defect, images, *figures in rows[1:]:
        name = category if defect == "all" else f"  {defect}"
        shown.add_row(name, images, *figures, style="bold" if defect == "all" else "")
    return shown


def _scorer(bundle: str, device: str) -> tuple[Scorer, str]:
    if bundle == BASELINE:
        return score_mahalanobis, BASELINE
    runtime = load_runtime(bundle, device)
    return _runtime_scorer(runtime), f"{runtime.info.name} {runtime.info.version}"


def _trained_on(bundle: str) -> tuple[str, ...]:
    """Return the data sets that the bundle says its heads learned from."""
    if bundle == BASELINE:
        return ()
    recorded = open_bundle(bundle).manifest.training.get("train", {})
    return tuple(str(recorded.get("data", "")).split(", "))


def _runtime_scorer(runtime: Runtime) -> Scorer:
    lanes = SideBySide(runtime)

    def score(samples: Sequence[Sample]) -> list[ScoredImage]:
        queries = [Query(runtime.prepare(s.image), s.product) for s in samples]
        return [ScoredImage(p.score, p.anomaly_map) for p in lanes.predict(queries)]

    return score


def _source(data: str, product: str | None, pairs: int) -> _Source:
    if data == PROCEDURAL:
        samples = held_out_samples(pairs, size_px=256)
        renamed = (s if product is None else replace(s, product=product) for s in samples)
        return _Source(renamed, 2 * pairs * len(HELD_OUT_FAMILIES))
    rows = open_data(Path(data))
    names = [f"{row.image.parent.name}/{row.image.name}" for row in rows]
    datasets = {row.dataset for row in rows}
    dataset = datasets.pop() if len(datasets) == 1 else None
    return _Source((read_sample(row, product) for row in rows), len(rows), names, dataset)
