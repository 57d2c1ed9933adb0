"""The evaluation on samples whose figures are known by hand."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest

from model import evaluate
from model.evaluate import (
    CategoryReport,
    DefectReport,
    MacroReport,
    ScoredImage,
    measure,
    resize_mask,
)
from model.report import unmarked_note
from model.types import Sample


def _sample(category: str, defect: str | None, brightness: int) -> Sample:
    mask = np.zeros((4, 4), dtype=np.bool_)
    if defect is not None:
        mask[0] = True
    image = np.full((4, 4, 3), brightness, dtype=np.uint8)
    return Sample(image, mask, category, category, defect)


def _brightness_scorer(samples: Sequence[Sample]) -> list[ScoredImage]:
    """Score an image by its brightness; the map is right in its first row."""
    result = []
    for sample in samples:
        anomaly_map = np.zeros((8, 8), dtype=np.float32)
        anomaly_map[:2] = 1.0
        result.append(ScoredImage(float(sample.image[0, 0, 0]) / 255.0, anomaly_map))
    return result


def test_report_holds_figures_per_category_and_defect() -> None:
    """AUROC is computed within each category, then averaged; each defect is held against all normals."""
    samples = [
        _sample("nut", None, 10),
        _sample("nut", None, 20),
        _sample("nut", "scratch", 15),
        _sample("nut", "dent", 200),
        _sample("tile", None, 100),
        _sample("tile", "crack", 90),
    ]
    seen: list[int] = []
    report = measure(iter(samples), _brightness_scorer, batch_size=4, progress=seen.append)
    nut = report.categories["nut"]
    assert (nut.normal, nut.anomalous) == (2, 2)
    assert nut.image_auroc == pytest.approx(0.75)
    assert nut.image_f1_max == pytest.approx(0.8)
    assert nut.image_ap == pytest.approx(0.5 + 0.5 * 2 / 3)
    # 32 defective pixels are hot and so are 32 of the 224 normal ones.
    assert nut.pixel_auroc == pytest.approx((192 + 16) / 224)
    assert nut.pixel_ap == pytest.approx(0.5)
    assert nut.pro == pytest.approx((0.5 * 32 / 224 + 0.3 - 32 / 224) / 0.3)
    assert np.isnan(nut.pro_200_steps)  # all thresholds below 1 are one point of the curve
    assert nut.defects["scratch"].image_auroc == pytest.approx(0.5)
    assert nut.defects["dent"].image_auroc == pytest.approx(1.0)
    assert nut.defects["dent"].pixel_auroc == pytest.approx(1.0)
    assert report.categories["tile"].image_auroc == 0.0
    assert report.macro.image_auroc == pytest.approx((0.75 + 0.0) / 2)
    assert seen == [4, 2]


def test_each_macro_figure_is_the_mean_of_its_own_column() -> None:
    """Over the categories where it is defined; defects count one by one, whatever category they are of."""
    first = {"scratch": DefectReport(1, 0.9, 0.5), "dent": DefectReport(1, 0.9, 0.6)}
    second = {"crack": DefectReport(1, 0.9, 0.1)}
    macro = evaluate._macro_report(
        {
            "nut": CategoryReport(2, 2, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, first),
            "tile": CategoryReport(1, 1, 0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.7, float("nan"), second),
        }
    )
    expected = MacroReport(0.15, 0.3, 0.45, 0.6, 0.7, 0.65, 0.7, 0.4)
    assert asdict(macro) == pytest.approx(asdict(expected))


def test_an_unknown_mask_leaves_pixel_figures_undefined() -> None:
    """Own parts without ground truth still have image-level figures; another category keeps all of its own."""
    unmarked = replace(_sample("nut", "dent", 200), mask=None)
    samples = [_sample("nut", None, 10), unmarked]
    samples += [_sample("tile", None, 10), _sample("tile", "crack", 90)]
    report = measure(samples, _brightness_scorer)
    assert report.categories["nut"].image_auroc == 1.0
    assert np.isnan(report.categories["nut"].pixel_auroc)
    assert np.isnan(report.categories["nut"].defects["dent"].pixel_auroc)
    assert report.macro.pixel_auroc == report.categories["tile"].pixel_auroc
    assert report.macro.pixel_auroc == pytest.approx((96 + 8) / 112)


def test_a_missing_mask_among_others_is_left_out_and_counted() -> None:
    """Data sets hold a few: the rest of their kind is measured, its own pixels count neither way."""
    unmarked = [replace(_sample("nut", "dent", 200), mask=None)] * 2
    marked = [_sample("nut", None, 10), _sample("nut", "dent", 90)]
    expected = measure(marked, _brightness_scorer)
    report = measure([*marked, *unmarked], _brightness_scorer)
    assert report.categories["nut"].pixel_auroc == expected.categories["nut"].pixel_auroc
    assert report.categories["nut"].pro == expected.categories["nut"].pro
    assert report.categories["nut"].defects["dent"].images == 3
    assert (report.unmarked, expected.unmarked) == (2, 0)
    assert (report.images, expected.images) == (4, 2)
    assert "leave out 2" in unmarked_note(report)
    assert not unmarked_note(expected)


def test_mask_is_resized_without_new_values() -> None:
    """A mask brought to the map's size keeps its place and stays boolean."""
    mask = np.zeros((4, 4), dtype=np.bool_)
    mask[0, 1] = True
    resized = resize_mask(mask, (8, 12))
    assert resized.dtype == np.bool_
    assert resized.sum() == 6
    assert resized[:2, 3:6].all()
    assert resize_mask(mask, (4, 12)).sum() == 3


def test_scores_that_hardly_differ_are_no_ties() -> None:
    """They are compared in single precision: half of it would call these equal."""

    def score(samples: Sequence[Sample]) -> list[ScoredImage]:
        anomaly_map = np.zeros((4, 4), np.float32)
        return [ScoredImage(0.5 + 1e-5 * (s.defect is not None), anomaly_map) for s in samples]

    report = measure([_sample("nut", None, 10), _sample("nut", "dent", 10)], score)
    assert report.macro.image_auroc == 1.0


def test_good_parts_alone_have_no_figures() -> None:
    """A folder without a defect is counted, warns of nothing, and every mean is undefined."""
    report = measure([_sample("nut", None, 10), _sample("nut", None, 20)], _brightness_scorer)
    assert report.images == 2
    assert all(np.isnan(v) for v in asdict(report.macro).values())


def test_a_report_is_in_alphabetical_order_and_knows_its_longest_side() -> None:
    """Whatever comes first is not listed first; maps of any shape say at what size they were measured."""
    shapes = {"tile": (2, 9), "nut": (7, 3)}

    def score(samples: Sequence[Sample]) -> list[ScoredImage]:
        return [ScoredImage(0.5, np.zeros(shapes[s.category], np.float32)) for s in samples]

    samples = [_sample(c, d, 10) for c in shapes for d in ("scratch", "dent")]
    watched: list[str] = []
    report = measure(samples, score, watch=lambda sample, _: watched.append(sample.category))
    assert list(report.categories) == ["nut", "tile"]
    assert list(report.categories["nut"].defects) == ["dent", "scratch"]
    assert report.map_size_px == 9
    assert watched == ["tile", "tile", "nut", "nut"]
