"""Measure anything that scores images, zero-shot, on anything that yields samples.

Knows samples and metrics. The scorer comes from outside, so that what is measured is what serves.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.metrics import auroc
from model.types import Sample


@dataclass(frozen=True, eq=False)
class Scored:
    """A scorer's answer: image-level score in [0, 1] and float32 map `[H, W]` over the whole image."""

    score: float
    anomaly_map: NDArray[np.float32]


Scorer = Callable[[Sequence[Sample]], list[Scored]]


@dataclass(frozen=True)
class DefectReport:
    """One defect: image AUROC against the category's normal images; pixel AUROC within its own images."""

    images: int
    image_auroc: float
    pixel_auroc: float


@dataclass(frozen=True)
class CategoryReport:
    """One category; pixel AUROC over all its images, normal ones included."""

    normal: int
    anomalous: int
    image_auroc: float
    pixel_auroc: float
    defects: dict[str, DefectReport]


@dataclass(frozen=True)
class MacroReport:
    """Means over categories, and over all defects of all categories for `defect_pixel_auroc`."""

    image_auroc: float
    pixel_auroc: float
    defect_pixel_auroc: float


@dataclass(frozen=True)
class Report:
    """All figures of one evaluation."""

    macro: MacroReport
    categories: dict[str, CategoryReport]

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return heading and rows of the table: each category, its defects, the means."""
        rows = [("category", "defect", "images", "image AUROC", "pixel AUROC")]
        for name, category in self.categories.items():
            total = category.normal + category.anomalous
            rows.append((name, "all", str(total), *_figures(category)))
            rows += [
                ("", defect, str(found.images), *_figures(found))
                for defect, found in category.defects.items()
            ]
        rows.append(("mean", "all", "", *_figures(self.macro)))
        rows.append(("mean", "per defect", "", "", f"{self.macro.defect_pixel_auroc:.3f}"))
        return rows

    def save(self, folder: Path) -> None:
        """Write the report as `report.json` and, for people, `report.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(asdict(self), indent=2) + "\n")
        heading, *rows = (f"| {' | '.join(row)} |" for row in self.rows())
        ruler = "|---|---|--:|--:|--:|"
        (folder / "report.md").write_text("\n".join([heading, ruler, *rows]) + "\n")


def _figures(found: CategoryReport | DefectReport | MacroReport) -> tuple[str, str]:
    return f"{found.image_auroc:.3f}", f"{found.pixel_auroc:.3f}"


@dataclass(frozen=True, eq=False)
class _Measured:
    """One image after scoring; the mask at the map's size."""

    defect: str | None
    score: float
    anomaly_map: NDArray[np.float32]
    mask: NDArray[np.bool_]


def resize_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Resize a mask to `[H, W]`, nearest neighbour."""
    if mask.shape == shape:
        return mask
    resized = Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(resized, dtype=np.bool_)


def measure(
    samples: Iterable[Sample],
    scorer: Scorer,
    batch_size: int = 8,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Score every sample and compute the figures per category and defect.

    Args:
        samples: normal and anomalous images of any categories, in any order.
        scorer: called with up to `batch_size` samples.
        batch_size: images a call.
        progress: called with the number of images after each call.
    """
    measured: dict[str, list[_Measured]] = {}
    for batch in _batched(samples, batch_size):
        for sample, scored in zip(batch, scorer(batch), strict=True):
            height, width = scored.anomaly_map.shape
            mask = resize_mask(sample.mask, (height, width))
            item = _Measured(sample.defect, scored.score, scored.anomaly_map, mask)
            measured.setdefault(sample.category, []).append(item)
        progress(len(batch))
    categories = {name: _category_report(items) for name, items in sorted(measured.items())}
    return Report(_macro_report(categories), categories)


def _batched(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    iterator = iter(samples)
    while batch := list(islice(iterator, size)):
        yield batch


def _image_auroc(items: list[_Measured]) -> float:
    label = np.array([i.defect is not None for i in items])
    return auroc(label, np.array([i.score for i in items], dtype=np.float32))


def _pixel_auroc(items: list[_Measured]) -> float:
    label = np.concatenate([i.mask.ravel() for i in items])
    return auroc(label, np.concatenate([i.anomaly_map.ravel() for i in items]))


def _category_report(items: list[_Measured]) -> CategoryReport:
    normal = [i for i in items if i.defect is None]
    by_defect: dict[str, list[_Measured]] = {}
    for item in items:
        if item.defect is not None:
            by_defect.setdefault(item.defect, []).append(item)
    return CategoryReport(
        normal=len(normal),
        anomalous=len(items) - len(normal),
        image_auroc=_image_auroc(items),
        pixel_auroc=_pixel_auroc(items),
        defects={
            name: DefectReport(len(found), _image_auroc(normal + found), _pixel_auroc(found))
            for name, found in sorted(by_defect.items())
        },
    )


def _macro_report(categories: dict[str, CategoryReport]) -> MacroReport:
    def mean(values: list[float]) -> float:
        return float(np.nanmean(values)) if values else float("nan")

    return MacroReport(
        image_auroc=mean([c.image_auroc for c in categories.values()]),
        pixel_auroc=mean([c.pixel_auroc for c in categories.values()]),
        defect_pixel_auroc=mean(
            [d.pixel_auroc for c in categories.values() for d in c.defects.values()]
        ),
    )
