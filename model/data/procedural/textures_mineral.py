"""Stone, ceramic, wood, paper and plastic surfaces. Knows normal ones, nothing of defects."""

import math

import numpy as np

from model.data.procedural import noise
from model.data.procedural.noise import log_uniform
from model.data.procedural.scene import Family, Field, Image, Scene
from model.data.procedural.textures_metal import texture


def _plain(rgb: noise.Rgb, factor: Field) -> Image:
    return noise.lit(np.broadcast_to(rgb, (*factor.shape, 3)), np.asarray(factor, np.float32))


def _light(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 6.3))


def concrete(rng: np.random.Generator, size_px: int) -> Scene:
    """Render cement with clouds, sand grains and small pores all over."""
    light = _light(rng)
    cloud = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.1, 0.5), 5, 0.6)
    sand = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.008, 0.03), 2)
    factor = 1 + rng.uniform(0.03, 0.12) * cloud + rng.uniform(0.02, 0.1) * sand
    if rng.random() < 0.5:
        pores = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.01, 0.03), 2)
        factor = factor - 0.4 * noise.smoothstep(pores, 1.8, 2.6)
    factor = factor * noise.relief(sand, rng.uniform(0, 0.25), light)
    return texture(_plain(noise.colour(rng, (0, 0.15), (0.35, 0.8), (0.05, 0.15)), factor), light)


def ceramic_tile(rng: np.random.Generator, size_px: int) -> Scene:
    """Render glazed tiles, from one that fills the picture to many with grout."""
    light = _light(rng)
    pitch = size_px * log_uniform(rng, 0.2, 2.5)
    u, v = noise.coordinates(rng, size_px, float(rng.normal(0, 0.05)))
    u, v = u / np.float32(pitch), v / np.float32(pitch * rng.choice([1.0, 0.5]))
    u = np.asarray(u + np.float32(rng.choice([0.0, 0.5])) * (np.floor(v) % 2), np.float32)
    column, row = np.floor(u), np.floor(v)
    inset = np.minimum(0.5 - np.abs(u - column - 0.5), 0.5 - np.abs(v - row - 0.5)) * pitch
    tile = noise.smoothstep(
        np.asarray(inset, "f4"), size_px * 0.006, size_px * rng.uniform(0.012, 0.025)
    )
    tones = rng.uniform(-1, 1, 97).astype(np.float32)
    tone = tones[((column * 7 + row * 13) % 97).astype(np.int32)]
    speckle = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.008, 0.2), 3)
    factor = 1 + rng.uniform(0, 0.12) * tone + rng.uniform(0, 0.12) * speckle
    glaze = _plain(noise.colour(rng, (0, 0.6), (0.35, 0.95)), factor)
    glaze = noise.lit(glaze, noise.relief(tile * np.float32(size_px / 256), 0.4, light))
    grout = _plain(
        noise.colour(rng, (0, 0.15), (0.2, 0.8)), 1 + np.float32(0.1) * noise.grain(rng, size_px)
    )
    return texture(noise.blend(grout, glaze, tile), light)


def terrazzo(rng: np.random.Generator, size_px: int) -> Scene:
    """Render stone chips of several colours in a binder."""
    spacing = size_px * log_uniform(rng, 0.04, 0.16)
    image = _plain(
        noise.colour(rng, (0, 0.15), (0.4, 0.9)), 1 + np.float32(0.03) * noise.grain(rng, size_px)
    )
    palette = np.stack(
        [noise.colour(rng, (0, 0.5), (0.1, 0.95)) for _ in range(int(rng.integers(2, 6)))]
    )
    for scale in (1.0, 0.45):
        cells = noise.voronoi(rng, size_px, spacing * scale)
        gap = noise.per_cell(rng, cells, 0.04, rng.uniform(0.15, 0.6)) * np.float32(spacing * scale)
        chips = noise.smoothstep(noise.borders(cells) - gap, -0.6, 0.6)
        tones = palette[rng.integers(0, len(palette), cells.count)][cells.labels]
        image = noise.blend(image, tones, chips * np.float32(rng.uniform(0.7, 1)))
    return texture(
        noise.lit(image, 1 + np.float32(0.03) * noise.fractal(rng, size_px, spacing, 3)),
        _light(rng),
    )


def granite(rng: np.random.Generator, size_px: int) -> Scene:
    """Render speckled crystals of three or four minerals."""
    cell = size_px * log_uniform(rng, 0.012, 0.06)
    image = _plain(
        noise.colour(rng, (0, 0.35), (0.3, 0.8)), np.ones((size_px, size_px), np.float32)
    )
    for _ in range(3):
        field = noise.fractal(rng, size_px, cell * rng.uniform(0.5, 1.5), 3, 0.6)
        cover = noise.smoothstep(field, rng.uniform(0.2, 1.2), rng.uniform(1.3, 1.6))
        image = noise.blend(
            image,
            noise.colour(rng, (0, 0.3), (0.05, 0.95)),
            cover * np.float32(rng.uniform(0.4, 1)),
        )
    return texture(noise.lit(image, 1 + np.float32(0.04) * noise.grain(rng, size_px)), _light(rng))


def marble(rng: np.random.Generator, size_px: int) -> Scene:
    """Render veins running through slow clouds."""
    cloud = noise.fractal(rng, size_px, size_px * rng.uniform(0.3, 0.8), 4)
    image = noise.tint(
        0.5 + 0.25 * cloud,
        noise.colour(rng, (0, 0.25), (0.4, 0.7)),
        noise.colour(rng, (0, 0.15), (0.6, 0.95)),
    )
    vein = noise.vary(rng, noise.colour(rng, (0, 0.4), (0.1, 0.6)), 0.05)
    for _ in range(int(rng.integers(2, 5))):
        turn = rng.uniform(0, 6.3)
        base = noise.oriented(rng, size_px, turn, size_px * 0.5, size_px * rng.uniform(0.1, 0.3))
        field = base + np.float32(0.35) * noise.fractal(rng, size_px, size_px * 0.2, 5, 0.6)
        width = log_uniform(rng, 0.04, 0.25)
        line = np.exp(-((field / np.float32(width)) ** 2)) * np.float32(rng.uniform(0.2, 0.7))
        image = noise.blend(image, vein, np.asarray(line, np.float32))
    return texture(image, _light(rng))


def asphalt(rng: np.random.Generator, size_px: int) -> Scene:
    """Render stones of different tones in dark bitumen."""
    light, spacing = _light(rng), size_px * log_uniform(rng, 0.015, 0.06)
    cells = noise.voronoi(rng, size_px, spacing)
    stone = np.clip(1 - cells.distance_px / np.float32(spacing * rng.uniform(0.5, 0.7)), 0, 1)
    tone = noise.per_cell(rng, cells, -rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.8))
    base = noise.colour(rng, (0, 0.12), (0.15, 0.5))
    factor = (1 + tone * np.minimum(2 * stone, 1)) * noise.relief(
        stone * np.float32(spacing * 0.4), 0.5, light
    )
    return texture(_plain(base, factor * (1 + np.float32(0.1) * noise.grain(rng, size_px))), light)


def wood(rng: np.random.Generator, size_px: int) -> Scene:
    """Render sawn wood: bent year rings, pores along the grain, sometimes planks."""
    turn = noise.angle(rng)
    _, v = noise.coordinates(rng, size_px, turn, size_px * rng.uniform(0.0, 0.05))
    ring_px = size_px * log_uniform(rng, 0.02, 0.12)
    slow = noise.oriented(rng, size_px, turn, size_px * rng.uniform(0.5, 2), size_px * 0.15)
    phase = v / np.float32(ring_px) + np.float32(rng.uniform(0.3, 2.5)) * slow
    saw = (phase - np.floor(phase)) ** np.float32(rng.uniform(1, 4))
    pores = noise.oriented(rng, size_px, turn, size_px * log_uniform(rng, 0.05, 0.3), size_px / 200)
    tone = 0.6 - rng.uniform(0.15, 0.5) * saw + rng.uniform(0.02, 0.12) * pores
    if rng.random() < 0.25:
        plank = size_px * rng.uniform(0.2, 0.5)
        index = np.floor(v / np.float32(plank))
        tone = tone + rng.uniform(-0.15, 0.15, 31).astype("f4")[(index % 31).astype(np.int32)]
        gap = np.abs(v / np.float32(plank) - index - 0.5) > 0.5 - 0.006 * size_px / plank
        tone = tone - 0.5 * gap
    hue = (0.04, 0.12)
    image = noise.tint(
        np.asarray(tone, "f4"),
        noise.colour(rng, (0.4, 0.8), (0.1, 0.4), hue),
        noise.colour(rng, (0.2, 0.6), (0.6, 0.98), hue),
    )
    return texture(image, _light(rng))


def paper(rng: np.random.Generator, size_px: int) -> Scene:
    """Render paper: cloudy formation, fibres, sometimes ruled or printed all over."""
    base = noise.colour(rng, (0, 0.3), (0.6, 0.98), (0.05, 0.2))
    cloud = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.02, 0.1), 4, 0.7)
    factor = (
        1 + rng.uniform(0.01, 0.05) * cloud + rng.uniform(0.005, 0.04) * noise.grain(rng, size_px)
    )
    image = _plain(base, factor)
    if rng.random() < 0.35:
        u, v = noise.coordinates(rng, size_px, noise.angle(rng))
        pitch = size_px * log_uniform(rng, 0.04, 0.15)
        lines = np.cos(v * np.float32(2 * math.pi / pitch))
        if rng.random() < 0.5:
            lines = np.maximum(lines, np.cos(u * np.float32(2 * math.pi / pitch)))
        cover = noise.smoothstep(np.asarray(lines, "f4"), 0.9, 0.99) * np.float32(
            rng.uniform(0.1, 0.6)
        )
        image = noise.blend(image, noise.colour(rng, (0, 0.8), (0.1, 0.6)), cover)
    return texture(image, _light(rng))


def cardboard(rng: np.random.Generator, size_px: int) -> Scene:
    """Render brown board with flute shadows and dark fibres."""
    turn = noise.angle(rng)
    u, _ = noise.coordinates(rng, size_px, turn)
    flute = np.sin(u * np.float32(2 * math.pi / (size_px * log_uniform(rng, 0.03, 0.12))))
    fibres = noise.oriented(rng, size_px, turn + rng.normal(0, 0.3), size_px * 0.05, size_px / 200)
    cloud = noise.fractal(rng, size_px, size_px * 0.1, 4, 0.6)
    factor = 1 + rng.uniform(0, 0.1) * flute + rng.uniform(0.02, 0.08) * fibres + 0.03 * cloud
    return texture(
        _plain(noise.colour(rng, (0.25, 0.5), (0.45, 0.8), (0.06, 0.11)), factor), _light(rng)
    )


def plastic(rng: np.random.Generator, size_px: int) -> Scene:
    """Render moulded plastic: smooth, spark-eroded grain or fine diamond pattern."""
    light, base = _light(rng), noise.colour(rng, (0, 0.9), (0.06, 0.95))
    style = rng.integers(3)
    cell = size_px * log_uniform(rng, 0.008, 0.03)
    height = noise.fractal(rng, size_px, cell, 2) * np.float32(0.2 if style == 0 else 1.0)
    if style == 2:
        u, v = noise.coordinates(rng, size_px, math.pi / 4 + noise.angle(rng))
        k = np.float32(2 * math.pi / (size_px * log_uniform(rng, 0.02, 0.08)))
        height = height * np.float32(0.3) + np.float32(1 / k) * np.sin(u * k) * np.sin(v * k)
    factor = noise.relief(np.asarray(height, "f4"), rng.uniform(0.05, 0.35), light)
    flow = 1 + np.float32(rng.uniform(0, 0.06)) * noise.fractal(rng, size_px, size_px * 0.5, 2)
    return texture(_plain(base, factor * flow), light)


def foam(rng: np.random.Generator, size_px: int) -> Scene:
    """Render open-cell foam: dark round cells of mixed size."""
    light, base = _light(rng), noise.colour(rng, (0, 0.6), (0.25, 0.95))
    height = np.zeros((size_px, size_px), np.float32)
    spacing = size_px * log_uniform(rng, 0.025, 0.1)
    for scale in (1.0, 0.5):
        cells = noise.voronoi(rng, size_px, spacing * scale)
        radius = noise.per_cell(rng, cells, 0.15, 0.6) * np.float32(spacing * scale)
        height -= np.clip(1 - cells.distance_px / radius, 0, 1) ** np.float32(0.6)
    height = noise.smooth(height, spacing * 0.06)
    depth = rng.uniform(0.15, 0.5)
    factor = noise.relief(height * np.float32(spacing * 0.2), 0.6, light) * (
        1 + np.float32(depth) * height
    )
    return texture(_plain(base, factor), light)


def cork(rng: np.random.Generator, size_px: int) -> Scene:
    """Render pressed cork granules with dark lenticels."""
    spacing = size_px * log_uniform(rng, 0.03, 0.1)
    cells = noise.voronoi(rng, size_px, spacing)
    tone = noise.per_cell(rng, cells, 0.2, 0.8) + np.float32(0.08) * noise.fractal(
        rng, size_px, spacing, 3
    )
    edge = noise.smoothstep(noise.borders(cells), 0, spacing * 0.15)
    dark = noise.smoothstep(noise.fractal(rng, size_px, spacing * 0.8, 3), 1.2, 1.8)
    field = tone * (0.7 + 0.3 * edge) - 0.3 * dark
    image = noise.tint(
        np.asarray(field, "f4"),
        noise.colour(rng, (0.5, 0.7), (0.2, 0.4), (0.05, 0.09)),
        noise.colour(rng, (0.3, 0.5), (0.7, 0.95), (0.07, 0.1)),
    )
    return texture(image, _light(rng))


FAMILIES = (
    Family("concrete", "concrete", "texture", concrete),
    Family("ceramic_tile", "ceramic tile", "texture", ceramic_tile),
    Family("terrazzo", "terrazzo", "texture", terrazzo),
    Family("granite", "granite", "texture", granite),
    Family("marble", "marble", "texture", marble),
    Family("asphalt", "asphalt", "texture", asphalt),
    Family("wood", "wood", "texture", wood),
    Family("paper", "paper", "texture", paper),
    Family("cardboard", "cardboard", "texture", cardboard),
    Family("plastic", "plastic", "texture", plastic),
    Family("foam", "foam", "texture", foam),
    Family("cork", "cork", "texture", cork),
)
