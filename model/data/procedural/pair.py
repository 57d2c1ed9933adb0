"""Draws a normal and an anomalous twin from a seed. Knows the order of the steps, no drawing."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.procedural import camera, noise
from model.data.procedural.registry import DEFECTS, FAMILIES
from model.data.procedural.scene import Defect, Family, Field, Image, Scene
from model.types import Sample, SamplePair

MIN_AREA = 0.0005
MAX_AREA = 0.25
_PART_WEIGHT = 3
_SCENES = 40
_TRIES = 8
_MIN_CHANGE = 6.0
_MIN_PEAK = 24.0
_MIN_SHARE = 0.5


def generate_pair(
    seed: int, size_px: int, families: Sequence[str], defects: Sequence[str]
) -> SamplePair:
    """Generate twins that differ only by one kind of defect.

    Args:
        seed: the same seed, size and lists give the same pixels.
        size_px: side of the square images.
        families: names in `FAMILIES` to draw from.
        defects: names in `DEFECTS` to draw from; those that do not fit the family are left out.

    Raises:
        KeyError: a name is unknown.
        ValueError: no defect of the list fits the drawn family, or no visible one was found.
    """
    rng = np.random.default_rng(seed)
    family = FAMILIES[families[int(rng.integers(len(families)))]]
    fitting = [
        DEFECTS[name]
        for name in defects
        if DEFECTS[name].fits(family)
        # Few families have parts; without the weight their defects would hardly be seen.
        for _ in range(_PART_WEIGHT if DEFECTS[name].needs_parts else 1)
    ]
    if not fitting:
        raise ValueError(f"none of the defects {list(defects)} can occur on {family.name}")
    for _ in range(_SCENES):
        pair = _attempt(rng, size_px, family, fitting)
        if pair is not None:
            return pair
    raise ValueError(f"no visible defect on {family.name} for seed {seed} at {size_px} px")


def edge_px(size_px: int) -> int:
    """Return how far outside the mask the twins may differ: lens blur, antialiasing, compression."""
    return max(3, round(3 * size_px / 256))  # the lens blurs large images over as many more pixels


def _attempt(
    rng: np.random.Generator, size_px: int, family: Family, fitting: Sequence[Defect]
) -> SamplePair | None:
    scene = _blemished(rng, family, family.render(rng, size_px))
    sensor = camera.draw_camera(rng, scene.image)
    normal = sensor.capture(scene.image)
    difficulty = float(rng.uniform())
    defect = fitting[int(rng.integers(len(fitting)))]
    for attempt in range(_TRIES):
        if attempt == _TRIES // 2:
            defect = fitting[int(rng.integers(len(fitting)))]
        changed, cover = defect.apply(rng, scene, difficulty)
        difficulty *= 0.75
        mask = _mask(cover)
        if not MIN_AREA <= float(mask.mean()) <= MAX_AREA:
            continue
        anomalous = sensor.capture(_confined(scene.image, changed, mask))
        side = 2 * edge_px(size_px) + 1
        near = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        # Compression rings through whole blocks; beyond the edge the twins are made equal.
        anomalous = np.where(near[..., None], anomalous, normal)
        if _visible(normal, anomalous, mask):
            return SamplePair(
                Sample(normal, np.zeros_like(mask), family.name, family.product, None),
                Sample(anomalous, mask, family.name, family.product, defect.spoken),
            )
    return None


def _blemished(rng: np.random.Generator, family: Family, scene: Scene) -> Scene:
    """Add benign blemishes to the scene, fewer on objects."""
    share = 0.85 if family.kind == "texture" else 0.5
    if rng.random() > share:
        return scene
    strength = noise.log_uniform(rng, 0.25, 1.6)
    # Known: what a defect reveals, backdrop and parts, stays clean (docs/experiments.md, "The generator").
    return Scene(
        camera.add_blemishes(rng, scene.image, strength),
        scene.foreground,
        scene.backdrop,
        scene.light_rad,
        scene.parts,
    )


def _mask(cover: Field) -> NDArray[np.bool_]:
    # Relative to the peak, so that a faint film is outlined as a strong one would be.
    return np.asarray(cover > 0.3 * max(float(cover.max()), 1e-3), np.bool_)


def _confined(image: Image, changed: Image, mask: NDArray[np.bool_]) -> Image:
    """Keep the change to the mask and a feathered pixel round it."""
    grown = cv2.dilate(mask.astype(np.float32), np.ones((3, 3), np.uint8))
    return noise.blend(image, changed, noise.smooth(np.asarray(grown, np.float32), 0.6))


def _visible(
    normal: NDArray[np.uint8], anomalous: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> bool:
    change = cv2.absdiff(normal, anomalous)[mask].max(axis=1)
    # What drowns in the surface's own roughness would be a wrong label, not a hard example.
    floor = max(_MIN_CHANGE, _MIN_SHARE * float(normal[mask].std(axis=0).mean()))
    return float(change.mean()) >= floor and float(np.quantile(change, 0.95)) >= _MIN_PEAK
