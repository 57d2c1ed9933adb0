"""Painting of objects on backgrounds: backdrops, materials, bevels, shadows, removable parts."""

import math
from collections.abc import Sequence

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.drawing import Points, Pose
from model.data.procedural.noise import Rgb, log_uniform
from model.data.procedural.scene import Field, Image, Part, Scene


def backdrop(rng: np.random.Generator, size_px: int) -> Image:
    """Render what the object lies on: plain, noisy, ribbed belt, tray grid or worn metal."""
    level = (0.03, 0.95) if rng.random() < 0.6 else tuple(rng.choice([[0.01, 0.12], [0.85, 0.99]]))
    base = noise.colour(rng, (0.0, 0.45) if rng.random() < 0.35 else (0.0, 0.08), level)
    factor = 1 + np.float32(rng.uniform(0, 0.06)) * noise.fractal(rng, size_px, size_px * 0.3, 4)
    style = rng.choice(["plain", "plain", "plain", "rough", "belt", "tray", "worn"])
    if style == "rough":
        cell = size_px * log_uniform(rng, 0.006, 0.04)
        factor = factor + np.float32(rng.uniform(0.03, 0.15)) * noise.fractal(rng, size_px, cell, 2)
    elif style == "worn":
        marks = noise.oriented(rng, size_px, noise.angle(rng), size_px * 0.5, size_px * 0.008)
        factor = factor + np.float32(rng.uniform(0.03, 0.12)) * marks
    elif style in ("belt", "tray"):
        u, v = noise.coordinates(rng, size_px, noise.angle(rng))
        k = np.float32(2 * math.pi / (size_px * log_uniform(rng, 0.03, 0.3)))
        wave = np.sin(u * k) if style == "belt" else np.maximum(np.sin(u * k), np.sin(v * k))
        factor = factor + rng.uniform(0.03, 0.15) * np.tanh(3 * wave)
    return noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), np.asarray(factor, np.float32))


def draw_pose(rng: np.random.Generator, size_px: int, reach: float = 1.0) -> Pose:
    """Draw where an object lies so that `reach` radii about its centre stay in the picture."""
    radius = size_px * rng.uniform(0.28, 0.47) / reach
    slack = max(0.0, size_px * 0.48 - radius * reach)
    x, y = size_px / 2 + rng.uniform(-slack, slack, 2) * 0.6
    return Pose(float(x), float(y), float(radius), noise.angle(rng))


class Canvas:
    """A picture that objects are painted onto, front last.

    Attributes:
        rng: source of all randomness of the scene.
        size_px: side of the picture.
        image: the picture so far, `[H, W, 3]`.
    """

    def __init__(self, rng: np.random.Generator, size_px: int) -> None:
        self.rng = rng
        self.size_px = size_px
        self.light_rad = float(rng.uniform(0, 2 * math.pi))
        self.image = backdrop(rng, size_px)
        self._backdrop = self.image
        self._foreground = np.zeros((size_px, size_px), np.float32)
        self._parts: list[Part] = []
        self._shadow = float(rng.uniform(0.0, 0.6)) if rng.random() < 0.7 else 0.0

    def material(self, rgb: Rgb, rough: float = 0.05, brushed: bool = False) -> Image:
        """Return a picture-filling material of one colour with fine variation."""
        rng, size = self.rng, self.size_px
        factor = 1 + np.float32(rough) * noise.fractal(
            rng, size, size * log_uniform(rng, 0.02, 0.2), 3
        )
        if brushed:
            marks = noise.oriented(rng, size, noise.angle(rng), size * 0.4, size * 0.008)
            factor = factor + np.float32(rng.uniform(0.02, 0.12)) * marks
        return noise.lit(np.broadcast_to(rgb, (size, size, 3)), factor)

    def paint(
        self,
        cover: Field,
        material: Image | Rgb,
        bevel_px: float = 0.0,
        depth: float = 1.0,
        shadow: bool = False,
    ) -> None:
        """Paint a material where `cover` is, with lit edges and a shadow on what is below."""
        if shadow and self._shadow > 0:
            self._cast(cover)
        if bevel_px > 0:
            height = noise.smooth(cover, max(0.5, bevel_px)) * np.float32(bevel_px * 2.5)
            factor = noise.relief(height, depth, self.light_rad)
            material = noise.lit(np.broadcast_to(material, (*cover.shape, 3)), factor)
        self.image = noise.blend(self.image, material, cover)
        self._foreground = np.maximum(self._foreground, cover)

    def pierce(self, cover: Field) -> None:
        """Cut a through hole: the backdrop shows, darkened by the rim's shadow."""
        dark = np.float32(1 - 0.6 * self._shadow)
        self.image = noise.blend(self.image, self._backdrop * dark, cover)
        self._foreground = self._foreground * (1 - cover)

    def shade(self, factor: Field, cover: Field) -> None:
        """Multiply brightness where `cover` is."""
        self.image = noise.lit(self.image, 1 + cover * (factor - 1))

    def mount(
        self, covers: Sequence[Field], material: Image | Rgb, bevel_px: float, shadow: bool = False
    ) -> None:
        """Paint equal parts that do not touch one another and can later be taken off."""
        before = self.image
        total = np.zeros((self.size_px, self.size_px), np.float32)
        for cover in covers:
            total = np.maximum(total, cover)
        self.paint(total, material, bevel_px, shadow=shadow)
        self._parts.extend(Part(cover, before) for cover in covers)

    def _cast(self, cover: Field) -> None:
        reach = self.size_px * 0.02
        shift = np.full(cover.shape, reach, np.float32)
        dx, dy = -math.cos(self.light_rad) * shift, -math.sin(self.light_rad) * shift
        soft = noise.smooth(noise.displace(cover, dx, dy), reach * 0.8)
        self.image = noise.lit(self.image, 1 - np.float32(self._shadow) * soft)

    def scene(self) -> Scene:
        """Return the finished scene."""
        image = np.clip(self.image, 0, 1)
        return Scene(image, self._foreground, self._backdrop, self.light_rad, tuple(self._parts))


def placed(pose: Pose, size_px: int, points: Points, x: float = 0.0, y: float = 0.0) -> Field:
    """Return the coverage of an outline `[N, 2]` at a place, all in units of the pose's radius."""
    return drawing.polygon(size_px, pose.place(drawing.shift(points, x, y)))


def cylinder(pose: Pose, size_px: int, half_width: float, gloss: float) -> Field:
    """Return the brightness of a cylinder along the pose's x axis, bright off its middle."""
    _, v = pose.local(size_px)
    t = np.clip(v / np.float32(half_width), -1, 1)
    body = np.sqrt(np.maximum(1 - t * t, 0.05))
    highlight = np.exp(-(((t + 0.35) / 0.2) ** 2))
    return np.asarray(0.55 + 0.5 * body + gloss * highlight, np.float32)


def dome(pose: Pose, size_px: int, light_rad: float, gloss: float) -> Field:
    """Return the brightness of a spherical cap of one radius."""
    u, v = Pose(pose.x, pose.y, pose.radius_px, 0.0).local(size_px)
    toward = u * np.float32(math.cos(light_rad)) + v * np.float32(math.sin(light_rad))
    spot = np.exp(
        -(((u - 0.4 * math.cos(light_rad)) ** 2 + (v - 0.4 * math.sin(light_rad)) ** 2) / 0.05)
    )
    return np.asarray(np.clip(1 + 0.22 * toward, 0.5, 1.5) + gloss * spot, np.float32)


def ring(pose: Pose, size_px: int, outer: float, inner: float) -> Field:
    """Return the coverage of a ring about the pose's centre, radii in units of its radius."""
    return drawing.polygon(
        size_px, pose.place(drawing.circle(64, outer)), pose.place(drawing.circle(48, inner))
    )
