"""Where a defect sits and how strongly it shows. Knows scenes, nothing of particular defects."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.noise import Rgb
from model.data.procedural.scene import Field, Image, Scene


@dataclass(frozen=True, eq=False)
class Site:
    """A place on the foreground.

    Attributes:
        x: column in pixels.
        y: row in pixels.
        radius_px: typical radius of a defect here, smaller for difficult ones.
        contrast: change of brightness in [0, 1] that a defect should cause here.
        rgb: mean colour round the place.
    """

    x: float
    y: float
    radius_px: float
    contrast: float
    rgb: Rgb


def choose_site(
    rng: np.random.Generator, scene: Scene, difficulty: float, edge: bool = False
) -> Site:
    """Draw a place on the foreground, or on its outline if `edge`."""
    solid = (scene.foreground > 0.6).astype(np.uint8)
    area = max(1, int(solid.sum()))
    reference = math.sqrt(area / math.pi)
    if edge:
        inner = cv2.erode(solid, np.ones((3, 3), np.uint8), borderValue=1)
        allowed = solid - np.asarray(inner, np.uint8)
    else:
        margin = max(1, round(reference * 0.1))
        kernel = np.ones((2 * margin + 1,) * 2, np.uint8)
        allowed = np.asarray(cv2.erode(solid, kernel, borderValue=0), np.uint8)
    spots = np.flatnonzero(allowed)
    if spots.size == 0:
        spots = np.flatnonzero(solid)
    y, x = divmod(int(spots[rng.integers(spots.size)]) if spots.size else area, scene.size_px)
    span = 1 - 0.55 * difficulty
    radius = max(reference * noise.log_uniform(rng, 0.055, 0.42) * span, scene.size_px * 0.012, 1.2)
    around = max(3, int(radius * 1.5))
    window = scene.image[max(0, y - around) : y + around, max(0, x - around) : x + around]
    mean = window.mean(axis=(0, 1)).astype(np.float32)
    spread = float(window.mean(axis=2).std())
    # On rough surfaces the same change is harder to see, so it has to be larger.
    contrast = (0.05 + 0.45 * (1 - difficulty) ** 1.5 * rng.uniform(0.4, 1)) + 0.6 * spread
    return Site(x, y, radius, min(0.7, contrast), mean)


def sign(rng: np.random.Generator, site: Site) -> float:
    """Draw whether a defect is brighter or darker, whichever leaves room."""
    level = float(site.rgb.mean())
    if level < site.contrast:
        return 1.0
    if level > 1 - site.contrast:
        return -1.0
    return float(rng.choice([-1.0, 1.0]))


def shifted(site: Site, amount: float) -> Rgb:
    """Return the local colour made brighter or darker."""
    return np.asarray(np.clip(site.rgb + np.float32(amount), 0.0, 1.0), np.float32)


def spot(
    rng: np.random.Generator, scene: Scene, site: Site, scale: float, aspect: float = 1.0
) -> Field:
    """Cover an irregular patch at the site, kept to the foreground."""
    points = drawing.blob(rng, site.radius_px * scale, rng.uniform(0.1, 0.6), aspect)
    cover = drawing.polygon(scene.size_px, drawing.shift(points, site.x, site.y))
    return np.asarray(cover * scene.foreground, np.float32)


def soft_spot(
    rng: np.random.Generator, scene: Scene, site: Site, scale: float, aspect: float = 1.0
) -> Field:
    """Cover an irregular patch with a soft edge."""
    cover = spot(rng, scene, site, scale, aspect)
    soft = noise.smooth(cover, site.radius_px * scale * rng.uniform(0.05, 0.4))
    return np.asarray(soft * scene.foreground, np.float32)


def bounded(image: Image) -> Image:
    """Clip to [0, 1]."""
    return np.asarray(np.clip(image, 0.0, 1.0), np.float32)
