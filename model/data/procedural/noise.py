"""Random fields, colours and shading. Knows arrays, nothing of products, defects or cameras.

Lengths are in pixels. Fields called noise have about zero mean and unit deviation.
"""

import colorsys
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.procedural.scene import Field, Image

Rgb = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cells:
    """A Voronoi partition: cell index `[H, W]`, distance to its seed in pixels, number of cells."""

    labels: NDArray[np.int32]
    distance_px: Field
    count: int


def unit(field: Field) -> Field:
    """Shift and scale to zero mean and unit deviation."""
    mean, deviation = cv2.meanStdDev(field)
    return (field - np.float32(mean[0, 0])) * np.float32(1.0 / max(float(deviation[0, 0]), 1e-6))


def smooth(field: Field, sigma_px: float) -> Field:
    """Blur by a Gaussian; works on fields and images."""
    if sigma_px < 0.15:
        return field
    return np.asarray(
        cv2.GaussianBlur(field, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101), np.float32
    )


def smoothstep(field: Field, low: float, high: float) -> Field:
    """Ramp from 0 at `low` to 1 at `high` with soft ends."""
    t = np.clip((field - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def grain(rng: np.random.Generator, size_px: int, cell_px: float = 1.0) -> Field:
    """Draw noise with one independent value every `cell_px`."""
    side = max(2, round(size_px / cell_px))
    grid = rng.standard_normal((side, side), dtype=np.float32)
    if side == size_px:
        return grid
    return np.asarray(cv2.resize(grid, (size_px, size_px), interpolation=cv2.INTER_CUBIC), "f4")


def fractal(
    rng: np.random.Generator, size_px: int, cell_px: float, octaves: int = 4, gain: float = 0.5
) -> Field:
    """Sum octaves of upsampled random grids, the coarsest with cells of `cell_px`."""
    total = np.zeros((size_px, size_px), np.float32)
    weight = 1.0
    for octave in range(octaves):
        side = math.ceil(size_px / cell_px * 2**octave) + 1
        if octave > 0 and side > size_px:
            break
        total += np.float32(weight) * grain(rng, size_px, size_px / side)
        weight *= gain
    return unit(total)


def oriented(
    rng: np.random.Generator, size_px: int, angle_rad: float, along_px: float, across_px: float
) -> Field:
    """Draw noise stretched along a direction: brush marks, fibres, grain of wood."""
    rows = math.ceil(1.45 * size_px / across_px) + 4
    columns = math.ceil(1.45 * size_px / along_px) + 4
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    c, s, half = math.cos(angle_rad), math.sin(angle_rad), size_px / 2
    to_grid = np.array(
        [
            [c / along_px, s / along_px, columns / 2 - (c + s) * half / along_px],
            [-s / across_px, c / across_px, rows / 2 - (c - s) * half / across_px],
        ]
    )
    field = cv2.warpAffine(
        grid,
        to_grid,
        (size_px, size_px),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return unit(np.asarray(field, np.float32))


def coordinates(
    rng: np.random.Generator, size_px: int, angle_rad: float, bend_px: float = 0.0
) -> tuple[Field, Field]:
    """Return rotated, randomly shifted pixel coordinates, bent by a slow random warp."""
    axis = np.arange(size_px, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    c, s = np.float32(math.cos(angle_rad)), np.float32(math.sin(angle_rad))
    u = c * x + s * y + np.float32(rng.uniform(0, size_px))
    v = c * y - s * x + np.float32(rng.uniform(0, size_px))
    if bend_px > 0:
        u = u + np.float32(bend_px) * fractal(rng, size_px, size_px / 2, 2)
        v = v + np.float32(bend_px) * fractal(rng, size_px, size_px / 2, 2)
    return np.asarray(u, np.float32), np.asarray(v, np.float32)


def voronoi(
    rng: np.random.Generator, size_px: int, spacing_px: float, jitter: float = 1.0
) -> Cells:
    """Partition the image by seeds on a jittered grid."""
    side = math.ceil(size_px / spacing_px) + 1
    gy, gx = np.mgrid[0:side, 0:side]
    shift = rng.uniform(-0.5 * jitter, 0.5 * jitter, (2, side, side))
    x = np.clip((gx + shift[0]) * spacing_px, 0, size_px - 1).astype(np.intp)
    y = np.clip((gy + shift[1]) * spacing_px, 0, size_px - 1).astype(np.intp)
    seeds = np.ones((size_px, size_px), np.uint8)
    seeds[y, x] = 0
    distance, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    indices = np.asarray(labels, np.int32)
    return Cells(indices, np.asarray(distance, np.float32), int(indices.max()) + 1)


def borders(cells: Cells) -> Field:
    """Return the distance in pixels to the nearest border between two cells."""
    labels = cells.labels
    inside = np.ones(labels.shape, np.uint8)
    inside[:, 1:][labels[:, 1:] != labels[:, :-1]] = 0
    inside[1:][labels[1:] != labels[:-1]] = 0
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5), np.float32)


def per_cell(rng: np.random.Generator, cells: Cells, low: float, high: float) -> Field:
    """Give each cell one uniform value."""
    return rng.uniform(low, high, cells.count).astype(np.float32)[cells.labels]


def relief(height_px: Field, strength: float, light_rad: float) -> Field:
    """Return the brightness factor of a surface lit from `light_rad`, about 1."""
    c, s = math.cos(light_rad), math.sin(light_rad)
    kernel = np.array([[0, -s, 0], [-c, 0, c], [0, s, 0]], np.float32) * (0.5 * strength)
    slope = cv2.filter2D(height_px, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(np.clip(1.0 - slope, 0.25, 1.9), np.float32)


def displace(image: Image, dx_px: Field, dy_px: Field) -> Image:
    """Move the image's content by a displacement field."""
    size = image.shape[0]
    axis = np.arange(size, dtype=np.float32)
    moved = cv2.remap(
        image,
        axis[None, :] - dx_px,
        axis[:, None] - dy_px,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(moved, np.float32)


def colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0.0, 1.0),
) -> Rgb:
    """Draw an RGB colour from ranges of hue, saturation (mostly low) and value."""
    h, v = rng.uniform(*hue), rng.uniform(*value)
    s = saturation[0] + (saturation[1] - saturation[0]) * rng.uniform() ** 1.7
    return np.array(colorsys.hsv_to_rgb(h % 1.0, s, v), np.float32)


def vary(rng: np.random.Generator, rgb: Rgb, amount: float) -> Rgb:
    """Shift a colour at random, brightness more than hue."""
    shift = rng.normal(0, amount) + rng.normal(0, 0.3 * amount, 3)
    return np.clip(rgb + shift, 0.01, 0.99).astype(np.float32)


def tint(field: Field, dark: Rgb, light: Rgb) -> Image:
    """Map a field in [0, 1] onto the line between two colours."""
    return np.asarray(dark + np.clip(field, 0, 1)[..., None] * (light - dark), np.float32)


def blend(image: Image, over: Image | Rgb, cover: Field) -> Image:
    """Lay `over` on the image with the given coverage."""
    return np.asarray(image + cover[..., None] * (over - image), np.float32)


def lit(image: Image, factor: Field) -> Image:
    """Multiply the image by a brightness factor and clip."""
    return np.asarray(np.clip(image * factor[..., None], 0.0, 1.0), np.float32)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from a range so that each doubling is equally likely."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def angle(rng: np.random.Generator) -> float:
    """Draw a direction, often along an axis as parts lie in a fixture."""
    if rng.random() < 0.5:
        return float(rng.integers(4) * math.pi / 2 + rng.normal(0, 0.04))
    return float(rng.uniform(0, 2 * math.pi))
