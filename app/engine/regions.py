"""Where on the part the anomalies are: boxes in pixels of the sent image.

Knows the anomaly map and the image's size; knows no files and no colours.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from app.engine.geometry import Box

MAX_REGIONS = 32
# Of the map's cells. Anything smaller is a rounded peak's tip, not a place to look at.
MIN_AREA_FRACTION = 1e-4
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)

Slices = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True)
class Region:
    """One connected anomalous area, in pixels of the sent image.

    Attributes:
        x, y: upper left corner of the bounding box.
        width, height: size of the bounding box; it lies inside the image.
        area_px: area of the anomalous pixels themselves.
        score: largest value of the anomaly map inside, in [0, 1].
    """

    x: int
    y: int
    width: int
    height: int
    area_px: int
    score: float


def find_regions(anomaly_map: NDArray[np.float32], threshold: float, area: Box) -> list[Region]:
    """Find the anomalous areas of an image that was judged NG.

    Pixels that touch at a side or a corner belong together. Where no pixel reaches the threshold, half of the
    map's peak is used instead, so that a person still sees what the verdict rests on.

    Args:
        anomaly_map: `[H, W]` in [0, 1], covering the inspected area whatever its aspect ratio.
        threshold: map value from which a pixel counts as anomalous.
        area: what was inspected, in pixels of the sent image.

    Returns:
        At most `MAX_REGIONS`, highest score first; none for a map without any signal.
    """
    peak = float(anomaly_map.max())
    if peak <= 0.0:
        return []
    mask = anomaly_map >= (threshold if peak >= threshold else peak / 2)
    window = _window(mask)  # mostly small: all that follows would look at every cell
    inside = mask[window]
    labels, count = ndimage.label(inside, structure=_EIGHT_NEIGHBOURS)
    cells = labels[inside] - 1
    scores = np.zeros(count, dtype=np.float32)
    # ndimage.maximum would sort all cells
    np.maximum.at(scores, cells, anomaly_map[window][inside])
    areas = np.bincount(cells, minlength=count)
    boxes = ndimage.find_objects(labels)
    best_first = np.argsort(-scores, kind="stable")
    large = [i for i in best_first if areas[i] >= MIN_AREA_FRACTION * anomaly_map.size]
    return [
        _region(_moved(boxes[i], window), int(areas[i]), float(scores[i]), anomaly_map.shape, area)
        for i in (large or best_first[:1])[:MAX_REGIONS]
    ]


def _window(mask: NDArray[np.bool_]) -> Slices:
    """Return the smallest part of a mask that holds all it marks; it marks something."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _moved(box: Slices, window: Slices) -> Slices:
    """Return a box inside a window as one of the whole."""
    rows, columns = (
        slice(side.start + whole.start, side.stop + whole.start)
        for side, whole in zip(box, window, strict=True)
    )
    return rows, columns


def _region(box: Slices, cells: int, score: float, grid: tuple[int, ...], area: Box) -> Region:
    """Scale a box of map cells to pixels, outwards, x and y each by its own factor."""
    rows, columns = box
    scale_y, scale_x = area.height / grid[0], area.width / grid[1]
    left, top = math.floor(columns.start * scale_x), math.floor(rows.start * scale_y)
    right = min(math.ceil(columns.stop * scale_x), area.width)
    bottom = min(math.ceil(rows.stop * scale_y), area.height)
    area_px = max(1, round(cells * scale_x * scale_y))
    return Region(area.x + left, area.y + top, right - left, bottom - top, area_px, score)
