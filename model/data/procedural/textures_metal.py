"""Metal and coated sheet surfaces. Knows how a normal one looks, nothing of defects or cameras."""

import math

import cv2
import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.noise import log_uniform
from model.data.procedural.scene import Family, Field, Image, Scene


def texture(image: Image, light_rad: float) -> Scene:
    """Wrap a surface that fills the picture."""
    clipped = np.clip(image, 0, 1)
    # Behind a torn or pierced surface lies a darker, blurred version of itself.
    behind = np.float32(0.25) * noise.smooth(clipped, clipped.shape[0] / 20)
    return Scene(clipped, np.ones(image.shape[:2], np.float32), behind, light_rad)


def metal_colour(rng: np.random.Generator) -> noise.Rgb:
    """Draw the tone of steel, aluminium, brass or copper."""
    if rng.random() < 0.75:
        return noise.colour(rng, (0.0, 0.1), (0.3, 0.8), (0.5, 0.7))
    return noise.colour(rng, (0.25, 0.55), (0.45, 0.8), (0.05, 0.13))


def _tone(rng: np.random.Generator, factor: Field) -> Scene:
    base = np.broadcast_to(metal_colour(rng), (*factor.shape, 3))
    return texture(noise.lit(base, factor), float(rng.uniform(0, 6.3)))


def brushed_metal(rng: np.random.Generator, size_px: int) -> Scene:
    """Render long parallel brush marks over broad bands."""
    turn, unit_px = noise.angle(rng), size_px / 256
    fine = noise.oriented(
        rng, size_px, turn, size_px * rng.uniform(0.3, 1.2), unit_px * rng.uniform(0.7, 2)
    )
    bands = noise.oriented(rng, size_px, turn, size_px * 1.5, size_px * rng.uniform(0.04, 0.3))
    soft = noise.grain(rng, size_px)
    factor = 1 + rng.uniform(0.04, 0.2) * fine + rng.uniform(0, 0.12) * bands
    return _tone(rng, np.asarray(factor + rng.uniform(0, 0.05) * soft, np.float32))


def cast_metal(rng: np.random.Generator, size_px: int) -> Scene:
    """Render the pebbled skin of sand or die casting."""
    cell = size_px * log_uniform(rng, 0.012, 0.07)
    height = noise.fractal(rng, size_px, cell, int(rng.integers(2, 5)), rng.uniform(0.4, 0.8))
    light = float(rng.uniform(0, 6.3))
    shade = noise.relief(height, rng.uniform(0.15, 0.6), light)
    mottle = noise.fractal(rng, size_px, size_px * 0.3, 4)
    base = np.broadcast_to(metal_colour(rng) * np.float32(0.8), (size_px, size_px, 3))
    factor = shade * (1 + np.float32(rng.uniform(0.02, 0.12)) * mottle)
    return texture(noise.lit(base, factor), light)


def milled_metal(rng: np.random.Generator, size_px: int) -> Scene:
    """Render the circular arcs a face mill leaves, sometimes two sets crossing."""
    factor = np.ones((size_px, size_px), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        radius, t = size_px * log_uniform(rng, 0.4, 6), rng.uniform(0, 6.3)
        pose = drawing.Pose(
            size_px / 2 + radius * math.cos(t), size_px / 2 + radius * math.sin(t), 1, 0
        )
        distance = np.asarray(cv2.magnitude(*pose.local(size_px)), np.float32)
        pitch = size_px * log_uniform(rng, 0.012, 0.09)
        profile = rng.normal(0, 1, 4096).astype(np.float32)
        rough = profile[np.clip(distance * 256 / size_px, 0, 4095).astype(np.int32)]
        wave = np.sin(distance * np.float32(2 * math.pi / pitch))
        factor += rng.uniform(0.04, 0.16) * wave + rng.uniform(0.02, 0.1) * rough
    factor *= 1 + np.float32(0.05) * noise.fractal(rng, size_px, size_px * 0.4, 3)
    return _tone(rng, np.asarray(factor, np.float32))


def ground_steel(rng: np.random.Generator, size_px: int) -> Scene:
    """Render short grinding marks scattered about one or more directions."""
    turn, unit_px = noise.angle(rng), size_px / 256
    factor = np.ones((size_px, size_px), np.float32)
    spread = rng.choice([0.05, 0.3, 1.5])
    for _ in range(3):
        along = unit_px * log_uniform(rng, 10, 60)
        marks = noise.oriented(
            rng, size_px, turn + rng.normal(0, spread), along, unit_px * rng.uniform(0.8, 2)
        )
        factor += np.float32(rng.uniform(0.02, 0.1)) * marks
    factor += np.float32(rng.uniform(0.0, 0.08)) * noise.fractal(rng, size_px, size_px * 0.15, 4)
    return _tone(rng, factor)


def galvanised_sheet(rng: np.random.Generator, size_px: int) -> Scene:
    """Render zinc spangle: crystals of different brightness and fine stripes."""
    cells = noise.voronoi(rng, size_px, size_px * log_uniform(rng, 0.03, 0.16))
    factor = noise.per_cell(rng, cells, 1 - rng.uniform(0.08, 0.3), 1.15)
    factor = noise.smooth(factor, size_px / 256 * rng.uniform(0.4, 1.5))
    feather = noise.oriented(rng, size_px, rng.uniform(0, 6.3), size_px * 0.1, size_px * 0.01)
    sign = noise.per_cell(rng, cells, -0.08, 0.08)
    return _tone(rng, np.asarray(factor + sign * feather, np.float32))


def painted_surface(rng: np.random.Generator, size_px: int) -> Scene:
    """Render lacquer with orange peel and, at times, metallic flakes."""
    base = noise.colour(rng, (0.0, 0.9), (0.1, 0.95))
    light = float(rng.uniform(0, 6.3))
    peel = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.015, 0.08), 2)
    image = noise.lit(
        np.broadcast_to(base, (size_px, size_px, 3)),
        noise.relief(peel, rng.uniform(0.02, 0.18), light),
    )
    if rng.random() < 0.4:
        flakes = np.maximum(noise.grain(rng, size_px) - np.float32(1.5), 0)
        image = image + (rng.uniform(0.03, 0.15) * flakes)[..., None].astype(np.float32)
    gloss = noise.fractal(rng, size_px, size_px * 0.7, 2)
    return texture(noise.lit(image, 1 + np.float32(rng.uniform(0, 0.1)) * gloss), light)


def corrugated_sheet(rng: np.random.Generator, size_px: int) -> Scene:
    """Render parallel waves or trapezoid ribs."""
    u, _ = noise.coordinates(rng, size_px, noise.angle(rng), size_px * rng.uniform(0, 0.01))
    pitch = size_px * log_uniform(rng, 0.06, 0.3)
    wave = np.sin(u * np.float32(2 * math.pi / pitch))
    sharp = rng.uniform(1, 5)
    profile = np.tanh(sharp * wave) / math.tanh(sharp)
    factor = (
        1 + rng.uniform(0.12, 0.4) * profile + 0.04 * noise.fractal(rng, size_px, size_px * 0.2, 4)
    )
    base = metal_colour(rng) if rng.random() < 0.6 else noise.colour(rng, (0.1, 0.7), (0.3, 0.8))
    image = noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), np.asarray(factor, np.float32))
    return texture(image, float(rng.uniform(0, 6.3)))


def perforated_sheet(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a plate with round, square or slotted holes on a square or staggered grid."""
    u, v = noise.coordinates(rng, size_px, noise.angle(rng))
    pitch = size_px * log_uniform(rng, 0.06, 0.22)
    u, v = u / np.float32(pitch), v / np.float32(pitch)
    if rng.random() < 0.5:
        u = np.asarray(u + np.float32(0.5) * (np.floor(v) % 2), np.float32)
    du, dv = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    norm, radius = rng.choice([2.0, 2.0, 6.0]), rng.uniform(0.18, 0.38)
    reach = (np.abs(du) ** norm + np.abs(rng.choice([1.0, 1.0, 0.7]) * dv) ** norm) ** (1 / norm)
    hole = noise.smoothstep(np.asarray(radius - reach, "f4"), -0.8 / pitch, 0.8 / pitch)
    light = float(rng.uniform(0, 6.3))
    rim = noise.relief(noise.smooth(-hole, size_px / 256), rng.uniform(0.3, 1.2), light)
    plate = noise.lit(
        np.broadcast_to(metal_colour(rng), (size_px, size_px, 3)),
        rim
        * (
            1
            + np.float32(0.05)
            * noise.oriented(rng, size_px, noise.angle(rng), size_px * 0.3, size_px * 0.006)
        ),
    )
    return texture(noise.blend(plate, noise.colour(rng, (0, 0.2), (0.02, 0.25)), hole), light)


def solar_cell(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a mono or polycrystalline cell with fingers and busbars."""
    turn = float(rng.integers(2) * math.pi / 2 + rng.normal(0, 0.01))
    u, v = noise.coordinates(rng, size_px, turn)
    base = noise.colour(rng, (0.2, 0.8), (0.15, 0.45), (0.58, 0.68))
    factor = 1 + np.float32(0.05) * noise.fractal(rng, size_px, size_px * 0.3, 4)
    if rng.random() < 0.6:
        cells = noise.voronoi(rng, size_px, size_px * log_uniform(rng, 0.05, 0.15))
        factor = factor * noise.per_cell(rng, cells, rng.uniform(0.6, 0.9), 1.2)
    image = noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), np.asarray(factor, "f4"))
    silver = noise.colour(rng, (0, 0.1), (0.6, 0.9))
    for axis, spacing, width in (
        (u, rng.uniform(0.03, 0.07), 0.8),
        (v, rng.uniform(0.25, 0.5), rng.uniform(2, 6)),
    ):
        offset = np.abs((axis / (size_px * spacing)) % 1 - 0.5) * size_px * spacing
        line = noise.smoothstep(np.asarray(width * size_px / 256 - offset, "f4"), -0.6, 0.6)
        image = noise.blend(image, silver, line * np.float32(rng.uniform(0.5, 0.95)))
    return texture(image, float(rng.uniform(0, 6.3)))


FAMILIES = (
    Family("brushed_metal", "brushed metal", "texture", brushed_metal),
    Family("cast_metal", "cast metal", "texture", cast_metal),
    Family("milled_metal", "milled metal", "texture", milled_metal),
    Family("ground_steel", "ground steel", "texture", ground_steel),
    Family("galvanised_sheet", "galvanised sheet", "texture", galvanised_sheet),
    Family("painted_surface", "painted surface", "texture", painted_surface),
    Family("corrugated_sheet", "corrugated sheet", "texture", corrugated_sheet),
    Family("perforated_sheet", "perforated sheet", "texture", perforated_sheet),
    Family("solar_cell", "solar cell", "texture", solar_cell),
)
