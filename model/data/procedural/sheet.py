"""Contact sheets of the generator for people to look at. Knows layout, draws no products."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.procedural.pair import generate_pair
from model.data.procedural.registry import DEFECTS, FAMILIES
from model.types import SamplePair

_GAP_PX = 4
_TITLE_PX = 16


def contact_sheet(seed: int, size_px: int, columns: int) -> NDArray[np.uint8]:
    """Show each family's normal image, anomalous image and mask, uint8 RGB `[H, W, 3]`."""
    pairs = [
        generate_pair(seed + k, size_px, (name,), tuple(DEFECTS)) for k, name in enumerate(FAMILIES)
    ]
    titles = [
        f"{name}: {pair.anomalous.defect}" for name, pair in zip(FAMILIES, pairs, strict=True)
    ]
    return _arrange([_strip(p, t) for p, t in zip(pairs, titles, strict=True)], columns)


def defect_sheet(seed: int, size_px: int, columns: int) -> NDArray[np.uint8]:
    """Show each defect once on a family that it fits, uint8 RGB `[H, W, 3]`."""
    strips = []
    for k, (name, defect) in enumerate(DEFECTS.items()):
        fitting = tuple(f.name for f in FAMILIES.values() if defect.fits(f))
        pair = generate_pair(seed + k, size_px, fitting, (name,))
        strips.append(_strip(pair, f"{name}: {pair.normal.category}"))
    return _arrange(strips, columns)


def _strip(pair: SamplePair, title: str) -> NDArray[np.uint8]:
    mask = np.repeat(pair.anomalous.marked[..., None], 3, axis=2).astype(np.uint8) * np.uint8(255)
    row = np.concatenate([pair.normal.image, pair.anomalous.image, mask], axis=1)
    strip = np.full((row.shape[0] + _TITLE_PX, row.shape[1] + _GAP_PX, 3), 255, np.uint8)
    strip[_TITLE_PX:, :-_GAP_PX] = row
    cv2.putText(strip, title, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _arrange(strips: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    blank = np.full_like(strips[0], 255)
    filled = [*strips, *[blank] * (-len(strips) % columns)]
    rows = [np.concatenate(filled[k : k + columns], axis=1) for k in range(0, len(filled), columns)]
    return np.concatenate(rows, axis=0)
