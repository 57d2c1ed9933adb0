"""A page of pictures of an evaluation: image, mask and map side by side, the mistakes first.

Keeps a few thumbnails a category, never all images. Knows pixels and files; measures nothing.
"""

import html
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.evaluate import ScoredImage
from model.types import Sample

HEIGHT_PX, WIDTH_LIMIT_PX = 256, 1024  # a very wide image is drawn lower
MAP_WEIGHT = 0.5
OUTLINE_RGB = (255, 0, 255)
JPEG_QUALITY = 85
STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 100rem; padding: 0 1rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; max-width: 100%; } img { max-width: 100%; max-height: 12rem; display: block; }
figcaption { font-size: .9rem; padding: .3rem 0; }
"""

RGB = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Kept:
    """One panel with what is said of it."""

    score: float
    defect: str | None
    name: str
    panel: RGB

    @property
    def caption(self) -> str:
        """Say which image it is, what is wrong with it, and its score."""
        truth = self.defect or "normal"
        return f"{self.name + ': ' if self.name else ''}{truth}, score {self.score:.3f}"


@dataclass(eq=False)
class _Shelf:
    """The pictures of one category, and from how many the others were chosen."""

    false_alarms: list[_Kept] = field(default_factory=list)
    misses: list[_Kept] = field(default_factory=list)
    others: list[_Kept] = field(default_factory=list)
    candidates: int = 0


class Gallery:
    """Collect pictures while `measure` runs: give `add` as its `watch`.

    Args:
        per_category: pictures kept of each category: a third the highest-scored normal images, a third the
            lowest-scored anomalous ones, a third chosen at random; a third is rounded up.
        names: of the images, in the order they will come; empty where they have none.
    """

    def __init__(self, per_category: int, names: Sequence[str] = ()) -> None:
        self._each = -(-per_category // 3)
        self._names = iter(names)
        self._shelves: dict[str, _Shelf] = {}
        self._random = random.Random(0)  # noqa: S311 - a choice of pictures, no secret

    def add(self, sample: Sample, scored: ScoredImage) -> None:
        """Keep the picture if it belongs among the few."""
        if self._each == 0:
            return
        shelf = self._shelves.setdefault(sample.category, _Shelf())
        name = next(self._names, "")
        kept = _Kept(scored.score, sample.defect, name, draw_panel(sample, scored))
        mistakes = shelf.misses if sample.defect else shelf.false_alarms
        mistakes.append(kept)
        mistakes.sort(key=lambda k: k.score, reverse=sample.defect is None)
        if len(mistakes) > self._each:
            self._sample(shelf, mistakes.pop())

    def _sample(self, shelf: _Shelf, kept: _Kept) -> None:
        """Give every picture that is no mistake the same chance to stay."""
        shelf.candidates += 1
        if len(shelf.others) < self._each:
            shelf.others.append(kept)
        elif (place := self._random.randrange(shelf.candidates)) < self._each:
            shelf.others[place] = kept

    def save(self, folder: Path, title: str) -> None:
        """Write `pictures.html` and `pictures/*.jpg`, needing nothing from outside."""
        images = folder / "pictures"
        images.mkdir(parents=True, exist_ok=True)
        files = (images / f"{number:04}.jpg" for number in itertools.count(1))
        parts = [_section(name, shelf, files) for name, shelf in sorted(self._shelves.items())]
        (folder / "pictures.html").write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>"
            "<p>Each picture: the image, the defect as it was marked, the anomaly map over the image; red is"
            " anomalous, blue is not.</p>" + "".join(parts) + "</html>\n"
        )


def draw_panel(sample: Sample, scored: ScoredImage) -> RGB:
    """Draw image, outlined mask and map side by side, `[256, 3 W, 3]`."""
    height, width = sample.image.shape[:2]
    scale = min(HEIGHT_PX / height, WIDTH_LIMIT_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(sample.marked.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlined = cv2.drawContours(image.copy(), outlines, -1, OUTLINE_RGB, 2)
    values = np.round(255.0 * np.clip(scored.anomaly_map, 0.0, 1.0)).astype(np.uint8)
    colours = cv2.applyColorMap(cv2.resize(values, size), cv2.COLORMAP_TURBO)[..., ::-1]
    overlay = cv2.addWeighted(image, 1.0 - MAP_WEIGHT, np.ascontiguousarray(colours), MAP_WEIGHT, 0)
    return np.asarray(np.concatenate([image, outlined, overlay], axis=1), dtype=np.uint8)


def _section(name: str, shelf: _Shelf, files: Iterator[Path]) -> str:
    shelves = (
        ("Normal, scored highest", shelf.false_alarms),
        ("Anomalous, scored lowest", shelf.misses),
        ("Others", shelf.others),
    )
    parts = [f"<h2>{html.escape(name)}</h2>"]
    for heading, kept in shelves:
        if kept:
            figures = "".join(_figure(picture, next(files)) for picture in kept)
            parts.append(f'<h3>{heading}</h3><div class="row">{figures}</div>')
    return "".join(parts)


def _figure(kept: _Kept, file: Path) -> str:
    _, encoded = cv2.imencode(
        ".jpg", kept.panel[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    file.write_bytes(encoded.tobytes())
    caption = html.escape(kept.caption)
    return (
        f'<figure><img src="pictures/{file.name}" alt="image, mask and anomaly map" loading="lazy">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
