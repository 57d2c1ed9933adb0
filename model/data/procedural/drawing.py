"""Antialiased shapes as coverage fields. Knows geometry, nothing of what the shapes stand for."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.procedural.scene import Field

Points = NDArray[np.float64]
_SHIFT = 4


@dataclass(frozen=True)
class Pose:
    """Where an object lies: centre and radius in pixels, rotation."""

    x: float
    y: float
    radius_px: float
    angle_rad: float

    def moved(self, x: float, y: float) -> "Pose":
        """Return the same turn and radius about a point given in units of the radius."""
        centre = self.place(np.array([[x, y]]))[0]
        return Pose(float(centre[0]), float(centre[1]), self.radius_px, self.angle_rad)

    def place(self, points: Points) -> Points:
        """Map points given in units of the radius `[N, 2]` to pixels."""
        c, s = math.cos(self.angle_rad), math.sin(self.angle_rad)
        turned = points @ np.array([[c, s], [-s, c]])
        return np.asarray(turned * self.radius_px + (self.x, self.y))

    def local(self, size_px: int) -> tuple[Field, Field]:
        """Return every pixel's coordinates in units of the radius."""
        axis = np.arange(size_px, dtype=np.float32)
        x, y = (axis - self.x) / self.radius_px, (axis - self.y) / self.radius_px
        c, s = math.cos(self.angle_rad), math.sin(self.angle_rad)
        u = c * x[None, :] + s * y[:, None]
        v = c * y[:, None] - s * x[None, :]
        return np.asarray(u, np.float32), np.asarray(v, np.float32)


def polygon(size_px: int, *outlines: Points) -> Field:
    """Fill closed outlines `[N, 2]` in pixels; an outline inside another cuts a hole."""
    canvas = np.zeros((size_px, size_px), np.uint8)
    fixed = [np.round(np.clip(o, -4e3, 4e3) * 2**_SHIFT).astype(np.int32) for o in outlines]
    cv2.fillPoly(canvas, fixed, 255, cv2.LINE_AA, _SHIFT)
    return np.asarray(canvas, np.float32) / np.float32(255)


def stroke(size_px: int, points: Points, width_px: float) -> Field:
    """Draw an open line; widths below one pixel fade instead."""
    canvas = np.zeros((size_px, size_px), np.uint8)
    fixed = np.round(points * 2**_SHIFT).astype(np.int32)
    fade = min(1.0, max(width_px, 0.35))
    thickness = max(1, round(width_px))
    cv2.polylines(canvas, [fixed], False, 255, thickness, cv2.LINE_AA, _SHIFT)  # noqa: FBT003
    return np.asarray(canvas, np.float32) * np.float32(fade / 255)


def disk(size_px: int, x: float, y: float, radius_px: float) -> Field:
    """Fill a circle."""
    return polygon(size_px, shift(circle(48, radius_px), x, y))


def shift(points: Points, x: float, y: float) -> Points:
    """Move points `[N, 2]`."""
    return np.asarray(points + np.array([x, y]))


def circle(count: int, radius: float = 1.0) -> Points:
    """Return points of a circle about the origin."""
    t = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return radius * np.stack([np.cos(t), np.sin(t)], axis=1)


def regular(sides: int, radius: float = 1.0) -> Points:
    """Return the corners of a regular polygon about the origin."""
    return circle(sides, radius)


def box(half_width: float, half_height: float, corner: float = 0.0) -> Points:
    """Return the outline of a box about the origin with rounded corners."""
    corner = min(corner, half_width, half_height)
    if corner <= 0:
        w, h = half_width, half_height
        return np.array([[-w, -h], [w, -h], [w, h], [-w, h]])
    arc = circle(24) * corner
    inner = np.array([half_width - corner, half_height - corner])
    signs = np.where(arc >= -1e-9, 1.0, -1.0)
    # Each quarter of the circle is pushed to its own corner; the order round it stays.
    return np.asarray(arc + signs * inner)


def blob(
    rng: np.random.Generator, radius: float, irregularity: float, aspect: float = 1.0
) -> Points:
    """Return a closed irregular outline about the origin, rotated at random."""
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    r = np.ones_like(t)
    for harmonic in range(2, 8):
        r += irregularity / harmonic * rng.normal() * np.cos(harmonic * t + rng.uniform(0, 6.3))
    r = radius * np.clip(r, 0.25, 2.0)
    points = np.stack([r * np.cos(t) * math.sqrt(aspect), r * np.sin(t) / math.sqrt(aspect)], 1)
    a = rng.uniform(0, 2 * math.pi)
    c, s = math.cos(a), math.sin(a)
    return np.asarray(points @ np.array([[c, s], [-s, c]]))


def wander(
    rng: np.random.Generator, x: float, y: float, length_px: float, bend: float, steps: int = 24
) -> Points:
    """Return a line of the given length through the point `(x, y)` whose direction drifts."""
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, bend, steps))
    step = length_px / steps
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * step, axis=0)
    return np.asarray(points - points[steps // 2] + (x, y))
