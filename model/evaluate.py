"""Measure anything that scores images, zero-shot, on anything that yields samples.

Knows samples and metrics. The scorer comes from outside, so that what is measured is what serves; how a report
is written is `model.report`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.metrics import auroc, average_precision, f1_max
from model.pixel_metrics import PixelFigures, pixel_figures
from model.types import Sample


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """A scorer's answer: image-level score in [0, 1] and float32 map `[H, W]` over the whole image."""

    score: float
    anomaly_map: NDArray[np.float32]


Scorer = Callable[[Sequence[Sample]], list[ScoredImage]]
Watch = Callable[[Sample, ScoredImage], None]


@dataclass(frozen=True)
class DefectReport:
    """One defect: image AUROC against the category's normal images; pixel AUROC within its own images."""

    images: int
    image_auroc: float
    pixel_auroc: float


@dataclass(frozen=True)
class CategoryReport:
    """One category; pixel-level figures over all its images, normal ones included.

    All figures lie in [0, 1] and are NaN where they are undefined: with one class of images or of pixels.

    Attributes:
        normal: images without a defect.
        anomalous: images with one.
        unmarked: anomalous images whose mask is not known; pixel-level figures leave them out.
    """

    normal: int
    anomalous: int
    unmarked: int
    image_auroc: float
    image_f1_max: float
    image_ap: float
    pixel_auroc: float
    pixel_ap: float
    pro: float
    pro_200_steps: float
    defects: dict[str, DefectReport]


@dataclass(frozen=True)
class MacroReport:
    """Means over categories, and over all defects of all categories for `defect_pixel_auroc`."""

    image_auroc: float
    image_f1_max: float
    image_ap: float
    pixel_auroc: float
    pixel_ap: float
    pro: float
    pro_200_steps: float
    defect_pixel_auroc: float


@dataclass(frozen=True)
class Report:
    """All figures of one evaluation.

    Attributes:
        macro: the means.
        categories: by name.
        map_size_px: longest side of the anomaly maps, at whose size the pixel-level figures are taken.
    """

    macro: MacroReport
    categories: dict[str, CategoryReport]
    map_size_px: int

    @property
    def images(self) -> int:
        """How many images were measured."""
        return sum(c.normal + c.anomalous for c in self.categories.values())

    @property
    def unmarked(self) -> int:
        """How many anomalous images have no mask that is known."""
        return sum(c.unmarked for c in self.categories.values())


@dataclass(frozen=True, eq=False)
class _Measured:
    """One image after scoring; the mask at the map's size, None where it is not known."""

    defect: str | None
    score: float
    anomaly_map: NDArray[np.float32]
    mask: NDArray[np.bool_] | None


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
    watch: Watch = lambda *_: None,
) -> Report:
    """Score every sample and compute the figures per category and defect.

    Args:
        samples: normal and anomalous images of any categories, in any order.
        scorer: called with up to `batch_size` samples, in their order.
        batch_size: images a call.
        progress: called with the number of images after each call.
        watch: shown each sample with its answer, for whoever wants pictures.
    """
    measured: dict[str, list[_Measured]] = {}
    map_size_px = 0
    for batch in _batched(samples, batch_size):
        for sample, scored in zip(batch, scorer(batch), strict=True):
            measured.setdefault(sample.category, []).append(_measured(sample, scored))
            map_size_px = max(map_size_px, *scored.anomaly_map.shape)
            watch(sample, scored)
        progress(len(batch))
    categories = {name: _category_report(items) for name, items in sorted(measured.items())}
    return Report(_macro_report(categories), categories, map_size_px)


def _measured(sample: Sample, scored: ScoredImage) -> _Measured:
    height, width = scored.anomaly_map.shape
    mask = None if sample.mask is None else resize_mask(sample.mask, (height, width))
    return _Measured(sample.defect, scored.score, scored.anomaly_map, mask)


def _batched(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    iterator = iter(samples)
    while batch := list(islice(iterator, size)):
        yield batch


def _pixels(items: list[_Measured]) -> PixelFigures:
    marked = [(i.anomaly_map, i.mask) for i in items if i.mask is not None]
    return pixel_figures([m for m, _ in marked], [m for _, m in marked])


def _images(items: list[_Measured]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    label = np.array([i.defect is not None for i in items])
    return label, np.array([i.score for i in items], dtype=np.float32)


def _category_report(items: list[_Measured]) -> CategoryReport:
    normal = [i for i in items if i.defect is None]
    by_defect: dict[str, list[_Measured]] = {}
    for item in items:
        if item.defect is not None:
            by_defect.setdefault(item.defect, []).append(item)
    label, score = _images(items)
    pixels = _pixels(items)
    return CategoryReport(
        normal=len(normal),
        anomalous=len(items) - len(normal),
        unmarked=sum(i.mask is None for i in items),
        image_auroc=auroc(label, score),
        image_f1_max=f1_max(label, score),
        image_ap=average_precision(label, score),
        pixel_auroc=pixels.auroc,
        pixel_ap=pixels.ap,
        pro=pixels.pro,
        pro_200_steps=pixels.pro_200_steps,
        defects={
            name: DefectReport(len(found), auroc(*_images(normal + found)), _pixels(found).auroc)
            for name, found in sorted(by_defect.items())
        },
    )


def _macro_report(categories: dict[str, CategoryReport]) -> MacroReport:
    def over_categories(name: str) -> float:
        return _mean([getattr(c, name) for c in categories.values()])

    return MacroReport(
        image_auroc=over_categories("image_auroc"),
        image_f1_max=over_categories("image_f1_max"),
        image_ap=over_categories("image_ap"),
        pixel_auroc=over_categories("pixel_auroc"),
        pixel_ap=over_categories("pixel_ap"),
        pro=over_categories("pro"),
        pro_200_steps=over_categories("pro_200_steps"),
        defect_pixel_auroc=_mean(
            [d.pixel_auroc for c in categories.values() for d in c.defects.values()]
        ),
    )


def _mean(values: list[float]) -> float:
    """Return the mean of the defined figures; NaN where none is."""
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else float("nan")
