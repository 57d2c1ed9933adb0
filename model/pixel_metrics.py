"""Pixel-level metrics over hundreds of millions of pixels, exact, in a few sorted arrays.

Only the values of normal pixels are sorted, never their positions, and thresholds are taken at anomalous
pixels alone: between two of them recall does not change. Knows maps and masks; knows no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import auc

FPR_LIMIT = 0.3
STEPS = 200
EIGHT_CONNECTED = np.ones((3, 3), dtype=np.int8)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PixelFigures:
    """Figures of one set of maps; NaN where a class of pixels is missing.

    Attributes:
        auroc: area under the ROC curve.
        ap: average precision, step-wise as scikit-learn's.
        pro: mean recall per 8-connected region, integrated over the false positive rate up to 0.3, divided by
            0.3; the curve goes through every threshold there is.
        pro_200_steps: the variant most papers report, at 200 evenly spaced thresholds. It changes when a map
            is rescaled monotonically and serves to compare with them only.
    """

    auroc: float
    ap: float
    pro: float
    pro_200_steps: float


UNDEFINED = PixelFigures(*[float("nan")] * 4)


@dataclass(frozen=True, eq=False)
class _Pixels:
    """All pixels of a set of maps, ready for every metric.

    Attributes:
        normal: scores of normal pixels, ascending, float32.
        values: distinct scores of anomalous pixels, ascending, float32.
        counts: how many anomalous pixels have each of them.
        weights: sum of 1 / (area * regions) over those pixels; all of them add up to 1.
    """

    normal: NDArray[np.float32]
    values: NDArray[np.float32]
    counts: Floats
    weights: Floats


def pixel_figures(
    maps: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]]
) -> PixelFigures:
    """Compute all pixel-level metrics over a set of maps.

    Args:
        maps: float32 `[H, W]` each.
        masks: bool, of the maps' shapes; True where the surface is defective.
    """
    anomalous = sum(int(np.count_nonzero(m)) for m in masks)
    if anomalous == 0 or anomalous == sum(m.size for m in masks):
        return UNDEFINED
    pixels = _gather(maps, masks, anomalous)
    total, normal = float(anomalous), float(pixels.normal.size)
    below = np.searchsorted(pixels.normal, pixels.values, "left").astype(np.float64)
    not_above = np.searchsorted(pixels.normal, pixels.values, "right").astype(np.float64)
    hits = np.cumsum(pixels.counts[::-1])[::-1]  # anomalous pixels at or above each value
    precision = hits / (hits + normal - below)
    return PixelFigures(
        auroc=float(pixels.counts @ (below + not_above)) / (2.0 * total * normal),
        ap=float(pixels.counts @ precision) / total,
        pro=_pro(pixels, below, not_above),
        pro_200_steps=_pro_in_steps(pixels),
    )


def _gather(
    maps: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]], anomalous: int
) -> _Pixels:
    normal = np.empty(sum(m.size for m in masks) - anomalous, dtype=np.float32)
    scores = np.empty(anomalous, dtype=np.float32)
    weights = np.empty(anomalous, dtype=np.float64)
    at_normal = at_anomalous = regions = 0
    for anomaly_map, mask in zip(maps, masks, strict=True):
        good = anomaly_map[~mask]
        normal[at_normal : at_normal + good.size] = good
        at_normal += good.size
        labelled, found = ndimage.label(mask, EIGHT_CONNECTED)
        if found:
            region = labelled[mask]
            here = slice(at_anomalous, at_anomalous + region.size)
            scores[here] = anomaly_map[mask]
            weights[here] = 1.0 / np.bincount(region)[region]
            at_anomalous += region.size
            regions += found
    normal.sort()
    order = np.argsort(scores)
    values, starts, counts = np.unique(scores[order], return_index=True, return_counts=True)
    by_value = np.add.reduceat(weights[order], starts) / regions
    return _Pixels(normal, values, counts.astype(np.float64), by_value)


def _pro(pixels: _Pixels, below: Floats, not_above: Floats) -> float:
    """Integrate the curve through all thresholds.

    Lowering the threshold from one anomalous value to the next moves right only (normal pixels between them),
    then to the point of that value itself, where pixels of both kinds that share it are passed at once.
    """
    normal = float(pixels.normal.size)
    recall = np.cumsum(pixels.weights[::-1])
    before = np.concatenate([[0.0], recall[:-1]])
    rates = np.stack([normal - not_above[::-1], normal - below[::-1]], axis=1).ravel() / normal
    recalls = np.stack([before, recall], axis=1).ravel()
    rates = np.concatenate([[0.0], rates, [1.0]])
    recalls = np.concatenate([[0.0], recalls, [1.0]])
    inside = int(np.searchsorted(rates, FPR_LIMIT, "right"))  # the first point beyond the limit
    slope = (recalls[inside] - recalls[inside - 1]) / (rates[inside] - rates[inside - 1])
    cut = recalls[inside - 1] + slope * (FPR_LIMIT - rates[inside - 1])
    return float(np.trapezoid([*recalls[:inside], cut], [*rates[:inside], FPR_LIMIT]) / FPR_LIMIT)


def _pro_in_steps(pixels: _Pixels) -> float:
    """Do as the field's usual code: thresholds from lowest to highest score, those below the limit rescaled."""
    lowest = float(min(pixels.normal[0], pixels.values[0]))
    highest = float(max(pixels.normal[-1], pixels.values[-1]))
    if lowest == highest:
        return float("nan")
    thresholds = _next_float32_below(np.arange(lowest, highest, (highest - lowest) / STEPS))
    above = pixels.normal.size - np.searchsorted(pixels.normal, thresholds, "right")
    rates = above / pixels.normal.size
    behind = np.concatenate([[0.0], np.cumsum(pixels.weights)])
    recalls = behind[-1] - behind[np.searchsorted(pixels.values, thresholds, "right")]
    kept = rates < FPR_LIMIT
    rates, recalls = rates[kept], recalls[kept]
    if rates.size < 2 or rates.max() == rates.min():
        return float("nan")
    rescaled = (rates - rates.min()) / (rates.max() - rates.min())
    return float(auc(rescaled, recalls))


def _next_float32_below(values: Floats) -> NDArray[np.float32]:
    """Round down to float32, so that a float32 score is above the result exactly if it is above the value.

    Searching float32 scores for float64 values would make a float64 copy of all of them.
    """
    rounded = values.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > values, lower, rounded).astype(np.float32)
