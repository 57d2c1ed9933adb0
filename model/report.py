"""Write a report for machines and for people, the paper's figures beside it where it has any.

Knows figures and files; measures nothing.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.data.sets import SETS, Counts
from model.evaluate import Report
from model.reference import (
    SET_NAMES,
    best_of_others,
    paper_figures,
    paper_figures_of_class,
    paper_warnings,
)

COLUMNS = {
    "image_auroc": "image AUROC",
    "image_f1_max": "F1-max",
    "image_ap": "AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pro": "PRO",
    "pro_200_steps": "PRO, 200 steps",
}
SHORT_COLUMNS = ("image_auroc", "image_f1_max", "image_ap", "pixel_auroc", "pixel_ap", "pro")
NOTES = (
    "Images: AUROC, highest F1 over all thresholds, step-wise average precision, each within its category; the"
    " last rows are means over the categories that have the figure. Pixels: over all images of a category; of"
    " a defect, over its own images. PRO is the mean recall per 8-connected region up to a false positive rate"
    " of 0.3, exact; the variant of 200 thresholds is there to compare with papers, it changes when a map is"
    " rescaled."
)
PAPER_SOURCE = "SSVP, arXiv 2601.09147v2, table 1; a class's row: table 2"
PAPER_NOTE = (
    f"Paper: {PAPER_SOURCE}. The best other is the best of the other methods, measure by measure. Papers mostly"
    " compute PRO in 200 steps: hold theirs against that column. SSVP's pixel figures are of maps of 518 px."
)


@dataclass(frozen=True)
class About:
    """What was measured.

    Attributes:
        model: name and version.
        data: name of the data.
        dataset: its name in manifests, where all rows are of one.
        trained_on: names of the data sets the model's heads learned from.
    """

    model: str
    data: str
    dataset: str | None = None
    trained_on: tuple[str, ...] = ()


Rows = list[tuple[str, ...]]


def table(report: Report, about: About, columns: tuple[str, ...] = tuple(COLUMNS)) -> Rows:
    """Return heading and rows: each category with its defects, the means, the paper's figures."""
    rows = [("category", "defect", "images", *(COLUMNS[c] for c in columns))]
    for name, category in report.categories.items():
        total = str(category.normal + category.anomalous)
        rows.append((name, "all", total, *_texts(asdict(category), columns)))
        if (paper := paper_figures_of_class(about.dataset, name)) is not None:
            rows.append(("", "SSVP, paper", "", *_texts(paper, columns)))
        rows += [
            ("", defect, str(found.images), *_texts(asdict(found), columns))
            for defect, found in category.defects.items()
        ]
    rows.append(("mean", "all", str(report.images), *_texts(asdict(report.macro), columns)))
    per_defect = {"pixel_auroc": report.macro.defect_pixel_auroc}
    rows.append(("mean", "per defect", "", *_texts(per_defect, columns)))
    if about.dataset in SET_NAMES:
        rows.append(("", "SSVP, paper", "", *_texts(paper_figures(about.dataset, "SSVP"), columns)))
        best = best_of_others(about.dataset)
        rows.append(("", "best other, paper", "", *_texts(best, columns)))
    return rows


def save_report(report: Report, about: About, folder: Path) -> None:
    """Write `report.json` and, for people, `report.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {"about": asdict(about), **asdict(report)}
    if about.dataset in SET_NAMES:
        values["paper"] = _paper(report, about.dataset)
    (folder / "report.json").write_text(
        json.dumps(_without_nan(values), indent=2, allow_nan=False) + "\n"
    )
    heading, *rows = (f"| {' | '.join(row)} |" for row in table(report, about))
    ruler = f"|---|---|{'--:|' * (len(COLUMNS) + 1)}"
    title = f"# {about.model} on {about.data}"
    count = f"{report.images} images."
    lines = [
        title,
        "",
        " ".join(filter(None, (count, size_note(report), unmarked_note(report), seen_note(about)))),
        "",
        heading,
        ruler,
        *rows,
        "",
        NOTES,
    ]
    if about.dataset in SET_NAMES:
        lines += ["", PAPER_NOTE, "", *(f"- {c}" for c in cautions(report, about.dataset))]
    (folder / "report.md").write_text("\n".join(lines) + "\n")


def size_note(report: Report) -> str:
    """Return a sentence on the size at which pixel-level figures are taken."""
    return f"Pixel-level figures are taken at {report.map_size_px} px, the size of the anomaly map."


def unmarked_note(report: Report) -> str:
    """Return a sentence on images that pixel-level figures leave out; empty where there are none."""
    if not report.unmarked:
        return ""
    return f"Pixel-level figures leave out {report.unmarked} anomalous without a mask."


def seen_note(about: About) -> str:
    """Return a sentence where the model has learned from the data set, or from crops of it; empty elsewhere."""
    measured = SET_NAMES.get(about.dataset, about.dataset)
    seen = [name for name in about.trained_on if SET_NAMES.get(name, name) == measured]
    if not seen:
        return ""
    return f"The model was trained on {', '.join(seen)}: these are no zero-shot figures."


def cautions(report: Report, dataset: str | None) -> list[str]:
    """Return why the paper's rows may be no fair comparison, one sentence each."""
    found = Counts(
        sum(c.normal for c in report.categories.values()),
        sum(c.anomalous for c in report.categories.values()),
    )
    return cautions_of(found, dataset)


def cautions_of(found: Counts, dataset: str | None) -> list[str]:
    """Return the same for so many images of a data set."""
    expected = [r for s in SETS.values() for r in s.references if r.dataset == dataset]
    if not expected or any(r.test == found for r in expected):
        return paper_warnings(dataset)
    counts = " or ".join(f"{r.test} ({r.version})" for r in expected)
    return [
        f"Measured here: {found} images (normal + anomalous), not {counts}",
        *paper_warnings(dataset),
    ]


def _paper(report: Report, dataset: str | None) -> dict[str, Any]:
    rows = {name: paper_figures_of_class(dataset, name) for name in report.categories}
    return {
        "SSVP": paper_figures(dataset, "SSVP"),
        "best_other": best_of_others(dataset),
        "categories": {name: row for name, row in rows.items() if row is not None},
        "source": PAPER_SOURCE,
        "cautions": cautions(report, dataset),
    }


def _texts(figures: dict[str, Any], columns: tuple[str, ...]) -> list[str]:
    values = (figures.get(c) for c in columns)
    return ["" if v is None else "-" if math.isnan(v) else f"{v:.3f}" for v in values]


def _without_nan(value: Any) -> Any:
    """Replace NaN by None: JSON has none."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
