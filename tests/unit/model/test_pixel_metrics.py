"""Pixel metrics against scikit-learn, against brute force, and against an invariance."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from model.pixel_metrics import pixel_figures

FLOAT_NOISE = 1e-9
Maps = list[NDArray[np.float32]]
Masks = list[NDArray[np.bool_]]
# From 1/30 to 27/30 in 200 steps: the sum of the steps is rounded up, and a 201st threshold lies above all.
OVERSHOT: tuple[Maps, Masks] = (
    [np.array([[1, 27, 20, 26, 3, 5, 9, 8, 2, 4]], dtype=np.float32) / np.float32(30)],
    [np.array([[0, 1, 0, 1, 0, 0, 1, 0, 0, 0]], dtype=np.bool_)],
)


@st.composite
def _images(draw: st.DrawFn) -> tuple[Maps, Masks]:
    """Draw a few small maps with many ties, and masks with at least one pixel of either kind."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 5, 30, 10_000]))
    count = draw(st.integers(1, 4))
    maps, masks = [], []
    for _ in range(count):
        shape = (draw(st.integers(2, 9)), draw(st.integers(2, 9)))
        masks.append(rng.random(shape) < draw(st.sampled_from([0.1, 0.4, 0.7])))
        noisy = rng.random(shape) + 0.4 * masks[-1]
        maps.append((np.floor(noisy * levels) / levels).astype(np.float32))
    masks[0][0, :2] = [True, False]
    return maps, masks


def _flat(maps: Maps, masks: Masks) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    return np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])


def _curve(
    maps: Maps, masks: Masks, thresholds: NDArray[Any], reaches: Callable[[Any, Any], Any]
) -> list[tuple[float, float]]:
    """False positive rate and mean recall per region where a score `reaches` a threshold, region by region."""
    points = []
    for threshold in thresholds:
        recalls, false, normal = [], 0, 0
        for anomaly_map, mask in zip(maps, masks, strict=True):
            flagged = reaches(anomaly_map, threshold)
            labelled, count = ndimage.label(mask, np.ones((3, 3)))
            recalls += [flagged[labelled == i].mean() for i in range(1, count + 1)]
            false += int((flagged & ~mask).sum())
            normal += int((~mask).sum())
        points.append((false / normal, float(np.mean(recalls))))
    return points


def _brute_pro(maps: Maps, masks: Masks) -> float:
    """Walk every distinct score downwards and add up trapezoids until the rate is 0.3."""
    thresholds = np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]
    area, (x, y) = 0.0, (0.0, 0.0)
    for rate, recall in [*_curve(maps, masks, thresholds, operator.ge), (1.0, 1.0)]:
        if rate >= 0.3:
            if rate > x:
                end = y + (recall - y) * (0.3 - x) / (rate - x)
                area += (0.3 - x) * (y + end) / 2
            return area / 0.3
        area += (rate - x) * (y + recall) / 2
        x, y = rate, recall
    raise AssertionError("the curve ends at 1")


@given(_images())
@settings(max_examples=150)
def test_auroc_and_ap_are_scikit_learns(images: tuple[Maps, Masks]) -> None:
    """Ties and all."""
    maps, masks = images
    found = pixel_figures(maps, masks)
    label, score = _flat(maps, masks)
    assert found.auroc == pytest.approx(roc_auc_score(label, score), abs=FLOAT_NOISE)
    assert found.ap == pytest.approx(average_precision_score(label, score), abs=FLOAT_NOISE)


@given(_images())
@settings(max_examples=150)
def test_pro_is_the_curve_through_every_threshold(images: tuple[Maps, Masks]) -> None:
    """Equal to walking all thresholds one by one, region by region."""
    maps, masks = images
    assert pixel_figures(maps, masks).pro == pytest.approx(_brute_pro(maps, masks), abs=FLOAT_NOISE)


@given(_images())
@example(OVERSHOT)
@settings(max_examples=50)
def test_pro_in_steps_is_what_the_fields_code_computes(images: tuple[Maps, Masks]) -> None:
    """Equal to a loop over 200 thresholds, `score > threshold`, those under 0.3 rescaled to [0, 1]."""
    maps, masks = images
    score = np.concatenate([m.ravel() for m in maps])
    low, high = float(score.min()), float(score.max())
    found = pixel_figures(maps, masks).pro_200_steps
    if low == high:
        assert np.isnan(found)
        return
    steps = np.arange(low, high, (high - low) / 200)
    curve = np.array(_curve(maps, masks, steps, operator.gt))
    kept = curve[curve[:, 0] < 0.3]
    rates = kept[:, 0]
    if len(kept) < 2 or rates.max() == rates.min():
        assert np.isnan(found)
        return
    expected = auc((rates - rates.min()) / (rates.max() - rates.min()), kept[:, 1])
    assert found == pytest.approx(expected, abs=FLOAT_NOISE)


def test_exact_figures_survive_a_monotone_rescaling_and_the_stepped_one_does_not() -> None:
    """The 12th power keeps every order: three figures stay, the 200-step PRO moves."""
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 64), dtype=np.bool_)
    mask[10:20, 10:30] = mask[40:44, 40:60] = True
    anomaly_map = (0.5 + 0.2 * mask + rng.normal(0, 0.08, mask.shape)).clip(0.01, 1.0)
    plain = pixel_figures([anomaly_map.astype(np.float32)], [mask])
    steep = (anomaly_map.astype(np.float32).astype(np.float64) ** 12).astype(np.float32)
    powered = pixel_figures([steep], [mask])
    assert powered.auroc == pytest.approx(plain.auroc, abs=1e-5)
    assert powered.ap == pytest.approx(plain.ap, abs=1e-4)
    assert powered.pro == pytest.approx(plain.pro, abs=1e-4)
    assert abs(powered.pro_200_steps - plain.pro_200_steps) > 0.05


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    """By hand: a diagonal pair and a single pixel are two regions, so half the recall is the pair's."""
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[1, 1] = mask[2, 2] = mask[7, 7] = True
    anomaly_map = np.where(mask, 1.0, 0.5).astype(np.float32)
    anomaly_map[7, 7] = 0.0  # missed until everything is flagged
    # Up to rate 0: recall (1 + 0) / 2. All normal pixels share one score: a line from (0, 1/2) to (1, 1/2).
    assert pixel_figures([anomaly_map], [mask]).pro == pytest.approx(0.5)
    anomaly_map[2, 2] = 0.0  # half the pair
    assert pixel_figures([anomaly_map], [mask]).pro == pytest.approx(0.25)


def test_a_perfect_map_has_perfect_figures_and_one_class_none() -> None:
    """A map that is its mask scores 1 everywhere; without pixels of either kind nothing is defined."""
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[2:4, 2:4] = True
    found = pixel_figures([mask.astype(np.float32)], [mask])
    assert (found.auroc, found.ap, found.pro) == (1.0, 1.0, 1.0)
    for one_class in (np.zeros_like(mask), np.ones_like(mask)):
        none = pixel_figures([np.ones((8, 8), dtype=np.float32)], [one_class])
        assert np.isnan([none.auroc, none.ap, none.pro, none.pro_200_steps]).all()
