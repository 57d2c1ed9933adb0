"""The evaluation on samples whose figures are known by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model.evaluate import Scored, measure, resize_mask
from model.types import Sample


def _sample(category: str, defect: str | None, brightness: int) -> Sample:
    mask = np.zeros((4, 4), dtype=np.bool_)
    if defect is not None:
        mask[0] = True
    image = np.full((4, 4, 3), brightness, dtype=np.uint8)
    return Sample(image, mask, category, category, "texture", defect)


def _brightness_scorer(samples: Sequence[Sample]) -> list[Scored]:
    """Score an image by its brightness; the map is right in its first row."""
    result = []
    for sample in samples:
        anomaly_map = np.zeros((8, 8), dtype=np.float32)
        anomaly_map[:2] = 1.0
        result.append(Scored(float(sample.image[0, 0, 0]) / 255.0, anomaly_map))
    return result


def test_report_holds_figures_per_category_and_defect(tmp_path: Path) -> None:
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
    assert nut.defects["scratch"].image_auroc == pytest.approx(0.5)
    assert nut.defects["dent"].image_auroc == pytest.approx(1.0)
    assert nut.defects["dent"].pixel_auroc == pytest.approx(1.0)
    assert report.categories["tile"].image_auroc == 0.0
    assert report.macro.image_auroc == pytest.approx((0.75 + 0.0) / 2)
    assert seen == [4, 2]
    report.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "report.json").read_text())
    assert saved["macro"]["image_auroc"] == report.macro.image_auroc
    lines = (tmp_path / "out" / "report.md").read_text().splitlines()
    assert lines[0] == "| category | defect | images | image AUROC | pixel AUROC |"
    assert lines[2].startswith("| nut | all | 4 | 0.750 |")
    assert lines[-2].startswith("| mean | all |  | 0.375 |")
    assert {line.count("|") for line in lines} == {6}


def test_mask_is_resized_without_new_values() -> None:
    """A mask brought to the map's size keeps its place and stays boolean."""
    mask = np.zeros((4, 4), dtype=np.bool_)
    mask[0, 1] = True
    resized = resize_mask(mask, (8, 12))
    assert resized.dtype == np.bool_
    assert resized.sum() == 6
    assert resized[:2, 3:6].all()
