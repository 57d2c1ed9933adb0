"""Whether two servers answered the same: a peer that answers something else is no comparison.

Knows answers; knows no server.
"""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from benchmarks.serving.peers import Fields

SCORE = 1e-4  # the service rounds to four decimals
SCORE_OF_REGION = 1e-4
# Batches of other sizes and other thread counts round differently; a level of 255 may tip over.
PIXEL_LEVELS = 1
_PLACE = ("x", "y", "width", "height", "area_px")


def disagreement(ours: Fields, theirs: Fields) -> str:
    """Return in which respect two answers differ; empty when they do not."""
    if ours["result"] != theirs["result"]:
        return f"result {ours['result']}, {theirs['result']}"
    if abs(ours["score"] - theirs["score"]) > SCORE:
        return f"score {ours['score']}, {theirs['score']}"
    regions, others = ours["regions"], theirs["regions"]
    if [[r[k] for k in _PLACE] for r in regions] != [[r[k] for k in _PLACE] for r in others]:
        return f"regions {regions}, {others}"
    pairs = zip(regions, others, strict=True)
    if any(abs(a["score"] - b["score"]) > SCORE_OF_REGION for a, b in pairs):
        return f"scores of regions {regions}, {others}"
    return _difference(_pixels(ours), _pixels(theirs))


def _pixels(answer: Fields) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    heatmap = answer["heatmap"]
    picture = Image.open(BytesIO(base64.b64decode(heatmap["data"])), formats=["PNG"])
    return np.asarray(picture.convert("RGB"))


def _difference(
    ours: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
    theirs: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]",
) -> str:
    if ours.shape != theirs.shape:
        return f"overlay of shape {ours.shape}, {theirs.shape}"
    levels = int(np.abs(ours.astype(np.int16) - theirs).max())
    return f"overlay differs by {levels} levels" if levels > PIXEL_LEVELS else ""
