"""A page of pictures of an evaluation: image, mask and map side by side, the mistakes first.

Keeps a few thumbnails a category, never all images. Knows pixels and files; measures nothing.
"""

import hashlib
import html
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.evaluate import Scored
from model.types import Sample

HEIGHT_PX = 256
MAP_WEIGHT = 0.5
OUTLINE_RGB = (255, 0, 255)
JPEG_QUALITY = 85
STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 100rem; padding: 0 1rem; }
.row { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(30rem, 1fr)); }
figure { margin: 0; } img { width: 100%; height: auto; display: block; }
figcaption { font-size: .9rem; padding: .3rem 0; }
"""

RGB = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Kept:
    """One panel with what is said of it."""

    score: float
    defect: str | None
    panel: RGB


@dataclass(eq=False)
class _Shelf:
    """The pictures of one category."""

    false_alarms: list[_Kept] = field(default_factory=list)
    misses: list[_Kept] = field(default_factory=list)
    others: list[_Kept] = field(default_factory=list)
    seen: int = 0


class Gallery:
    """Collect pictures while `measure` runs: give `add` as its `watch`.

    Args:
        per_category: pictures kept of each category: a third the highest-scored normal images, a third the
            lowest-scored anomalous ones, a third chosen at random.
    """

    def __init__(self, per_category: int) -> None:
        self._each = -(-per_category // 3)
        self._shelves: dict[str, _Shelf] = {}
        self._random = random.Random(0)  # noqa: S311 - a choice of pictures, no secret

    def add(self, sample: Sample, scored: Scored) -> None:
        """Keep the picture if it belongs among the few."""
        if self._each == 0:
            return
        shelf = self._shelves.setdefault(sample.category, _Shelf())
        kept = _Kept(scored.score, sample.defect, draw_panel(sample, scored))
        mistakes = shelf.misses if sample.defect else shelf.false_alarms
        mistakes.append(kept)
        mistakes.sort(key=lambda k: k.score, reverse=sample.defect is None)
        shelf.seen += 1
        if len(mistakes) > self._each:
            self._sample(shelf, mistakes.pop())

    def _sample(self, shelf: _Shelf, kept: _Kept) -> None:
        """Give every picture that is no mistake the same chance to stay."""
        if len(shelf.others) < self._each:
            shelf.others.append(kept)
        elif (place := self._random.randrange(shelf.seen)) < self._each:
            shelf.others[place] = kept

    def save(self, folder: Path, title: str) -> None:
        """Write `pictures.html` and `pictures/*.jpg`, needing nothing from outside."""
        images = folder / "pictures"
        images.mkdir(parents=True, exist_ok=True)
        parts = [_section(name, shelf, images) for name, shelf in sorted(self._shelves.items())]
        (folder / "pictures.html").write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>"
            "<p>Each picture: the image, the defect as it was marked, the anomaly map over the image; red is"
            " anomalous, blue is not.</p>" + "".join(parts) + "</html>\n"
        )


def draw_panel(sample: Sample, scored: Scored) -> RGB:
    """Draw image, outlined mask and map side by side, `[256, W, 3]`."""
    height, width = sample.image.shape[:2]
    size = (max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX)
    image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(sample.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlined = cv2.drawContours(image.copy(), outlines, -1, OUTLINE_RGB, 2)
    values = np.round(255.0 * np.clip(scored.anomaly_map, 0.0, 1.0)).astype(np.uint8)
    colours = cv2.applyColorMap(cv2.resize(values, size), cv2.COLORMAP_TURBO)[..., ::-1]
    overlay = cv2.addWeighted(image, 1.0 - MAP_WEIGHT, np.ascontiguousarray(colours), MAP_WEIGHT, 0)
    return np.asarray(np.concatenate([image, outlined, overlay], axis=1), dtype=np.uint8)


def _section(name: str, shelf: _Shelf, images: Path) -> str:
    shelves: Iterable[tuple[str, list[_Kept]]] = (
        ("Normal, scored highest", shelf.false_alarms),
        ("Anomalous, scored lowest", shelf.misses),
        ("Others", shelf.others),
    )
    parts = [f"<h2>{html.escape(name)}</h2>"]
    for heading, kept in shelves:
        if kept:
            figures = "".join(_figure(name, picture, images) for picture in kept)
            parts.append(f'<h3>{heading}</h3><div class="row">{figures}</div>')
    return "".join(parts)


def _figure(name: str, kept: _Kept, images: Path) -> str:
    _, encoded = cv2.imencode(
        ".jpg", kept.panel[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    content = encoded.tobytes()
    file = images / f"{hashlib.sha256(content).hexdigest()[:16]}.jpg"
    file.write_bytes(content)
    caption = html.escape(f"{kept.defect or 'normal'}, score {kept.score:.3f}")
    alt = html.escape(f"{name}, {kept.defect or 'normal'}: image, mask and anomaly map")
    return (
        f'<figure><img src="pictures/{file.name}" alt="{alt}" loading="lazy">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
