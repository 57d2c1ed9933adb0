"""Woven, knitted and fibrous surfaces. Knows how a normal one looks, nothing of defects."""

import math

import cv2
import numpy as np

from model.data.procedural import noise
from model.data.procedural.noise import log_uniform
from model.data.procedural.scene import Family, Field, Image, Scene
from model.data.procedural.textures_metal import metal_colour, texture


def _yarn_colours(rng: np.random.Generator) -> tuple[noise.Rgb, noise.Rgb]:
    first = noise.colour(rng, (0.0, 0.8), (0.15, 0.95))
    if rng.random() < 0.6:
        return first, noise.vary(rng, first, 0.04)
    return first, noise.colour(rng, (0.0, 0.8), (0.15, 0.95))


def _fuzz(rng: np.random.Generator, image: Image, amount: float) -> Image:
    size = image.shape[0]
    unit_px = size / 256
    turn = rng.uniform(0, 6.3)
    fibres = noise.oriented(rng, size, turn, unit_px * 6, unit_px)
    fibres = fibres + noise.oriented(rng, size, turn + 1.5, unit_px * 6, unit_px)
    return noise.lit(image, 1 + np.float32(amount) * fibres)


def woven_fabric(rng: np.random.Generator, size_px: int) -> Scene:
    """Render plain, twill or basket weave of two yarns."""
    pitch = size_px * log_uniform(rng, 0.016, 0.07)
    u, v = noise.coordinates(rng, size_px, noise.angle(rng), pitch * rng.uniform(0, 0.8))
    u, v = u / np.float32(pitch), v / np.float32(pitch)
    column, row = np.floor(u), np.floor(v)
    style = rng.integers(3)
    if style == 0:
        over = (column + row) % 2 < 1
    elif style == 1:
        over = (column + row) % 4 < 2
    else:
        over = (np.floor(column / 2) + np.floor(row / 2)) % 2 < 1
    du, dv = u - column - np.float32(0.5), v - row - np.float32(0.5)
    across, along = np.where(over, du, dv), np.where(over, dv, du)
    thick = rng.uniform(0.42, 0.62)
    body = np.clip(1 - (across / thick) ** 2, 0, 1) * (1 - 0.6 * along**2)
    slub = noise.oriented(rng, size_px, 0.0, size_px * 0.3, pitch) * np.float32(
        rng.uniform(0.0, 0.06)
    )
    first, second = _yarn_colours(rng)
    cover = np.where(over, np.float32(1), np.float32(0)).astype(np.float32)
    yarn = noise.tint(cover, second, first)
    depth = rng.uniform(0.25, 0.8)
    image = noise.lit(yarn, np.asarray(1.05 - depth + depth * body + slub, np.float32))
    return texture(_fuzz(rng, image, rng.uniform(0.01, 0.06)), float(rng.uniform(0, 6.3)))


def knitted_fabric(rng: np.random.Generator, size_px: int) -> Scene:
    """Render columns of V-shaped stitches, plain or striped."""
    pitch = size_px * log_uniform(rng, 0.03, 0.12)
    u, v = noise.coordinates(rng, size_px, noise.angle(rng), pitch * rng.uniform(0, 0.7))
    u, v = u / np.float32(pitch), v / np.float32(pitch * rng.uniform(0.7, 1.1))
    du = u - np.floor(u) - np.float32(0.5)
    slope = rng.uniform(0.8, 1.6)
    phase = v + slope * np.abs(du)
    stitch = np.abs(np.sin(math.pi * phase)) ** rng.uniform(0.5, 1.2)
    wale = (
        1
        - np.exp(-((np.abs(du) / 0.1) ** 2)) * 0.5
        - np.exp(-(((0.5 - np.abs(du)) / 0.08) ** 2)) * 0.7
    )
    first, second = _yarn_colours(rng)
    stripe = (np.floor(phase) % rng.integers(2, 12) < 1).astype(np.float32)
    depth = rng.uniform(0.4, 0.85)
    image = noise.lit(
        noise.tint(stripe, first, second), np.asarray(1 - depth + depth * stitch * wale, "f4")
    )
    return texture(_fuzz(rng, image, rng.uniform(0.02, 0.08)), float(rng.uniform(0, 6.3)))


def leather(rng: np.random.Generator, size_px: int) -> Scene:
    """Render grained leather: rounded cells between creases, at several scales."""
    spacing = size_px * log_uniform(rng, 0.018, 0.07)
    edge = noise.borders(noise.voronoi(rng, size_px, spacing))
    bent = noise.displace(
        edge[..., None], *(spacing * 0.2 * noise.fractal(rng, size_px, spacing, 2) for _ in "xy")
    )
    height = np.asarray(np.tanh(bent.reshape(edge.shape) / np.float32(spacing * 0.18)), np.float32)
    height = noise.smooth(height, spacing * 0.06) + np.float32(0.15) * noise.fractal(
        rng, size_px, spacing, 3
    )
    light = float(rng.uniform(0, 6.3))
    depth = rng.uniform(0.1, 0.4)
    factor = noise.relief(height * np.float32(spacing * 0.15), rng.uniform(0.4, 1.2), light)
    base = (
        noise.colour(rng, (0.2, 0.8), (0.1, 0.7), (0.0, 0.12))
        if rng.random() < 0.7
        else noise.colour(rng, (0, 0.7), (0.05, 0.9))
    )
    shade = (
        1
        - depth
        + depth * height
        + np.float32(0.04) * noise.fractal(rng, size_px, size_px * 0.3, 3)
    )
    return texture(noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), factor * shade), light)


def felt(rng: np.random.Generator, size_px: int) -> Scene:
    """Render matted fibres of mixed tones without direction."""
    base = noise.colour(rng, (0.0, 0.7), (0.1, 0.85))
    factor = np.ones((size_px, size_px), np.float32)
    long_px = size_px * log_uniform(rng, 0.03, 0.12)
    for _ in range(4):
        fibres = noise.oriented(
            rng, size_px, rng.uniform(0, 6.3), long_px, size_px / 256 * rng.uniform(0.8, 1.6)
        )
        factor += np.float32(rng.uniform(0.02, 0.08)) * fibres
    factor *= 1 + np.float32(rng.uniform(0.02, 0.08)) * noise.fractal(
        rng, size_px, size_px * 0.2, 4
    )
    return texture(
        noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), factor), float(rng.uniform(0, 6.3))
    )


def carpet(rng: np.random.Generator, size_px: int) -> Scene:
    """Render rows of tufts or loops in one or several tones."""
    spacing = size_px * log_uniform(rng, 0.018, 0.07)
    cells = noise.voronoi(rng, size_px, spacing, rng.uniform(0.3, 1.0))
    tuft = 1 - np.minimum(cells.distance_px / np.float32(spacing * 0.75), 1) ** 2
    tones = noise.per_cell(rng, cells, 0, 1)
    first, second = _yarn_colours(rng)
    image = noise.tint(np.asarray(tones, "f4"), first, second)
    depth = rng.uniform(0.3, 0.75)
    image = noise.lit(image, np.asarray(1 - depth + depth * tuft, np.float32))
    return texture(_fuzz(rng, image, rng.uniform(0.03, 0.1)), float(rng.uniform(0, 6.3)))


def _tow(u: Field, v: Field, skip: int) -> tuple[Field, Field]:
    column, row = np.floor(u), np.floor(v)
    over = ((column + row) % skip < skip / 2).astype(np.float32)
    across = np.where(over > 0, u - column, v - row) - np.float32(0.5)
    return over, np.asarray(across, np.float32)


def carbon_fibre(rng: np.random.Generator, size_px: int) -> Scene:
    """Render glossy dark tows in plain or twill weave."""
    pitch = size_px * log_uniform(rng, 0.035, 0.14)
    turn = noise.angle(rng)
    u, v = noise.coordinates(rng, size_px, turn, pitch * rng.uniform(0, 0.15))
    over, across = _tow(u / np.float32(pitch), v / np.float32(pitch), int(rng.choice([2, 4])))
    fine_a = noise.oriented(rng, size_px, turn + math.pi / 2, pitch, size_px / 256)
    fine_b = noise.oriented(rng, size_px, turn, pitch, size_px / 256)
    fine = np.where(over > 0, fine_a, fine_b)
    sheen = rng.uniform(0.2, 0.8)
    tone = np.where(over > 0, np.float32(1 + sheen), np.float32(1 - 0.6 * sheen))
    factor = tone * (1 - 1.4 * across**2) * (1 + rng.uniform(0.03, 0.15) * fine)
    base = noise.colour(rng, (0.0, 0.2), (0.08, 0.4), (0.5, 0.7))
    image = noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), np.asarray(factor, "f4"))
    return texture(image, float(rng.uniform(0, 6.3)))


def wire_mesh(rng: np.random.Generator, size_px: int) -> Scene:
    """Render crossed or diamond wires over a ground."""
    pitch = size_px * log_uniform(rng, 0.04, 0.2)
    turn = noise.angle(rng)
    u, v = noise.coordinates(rng, size_px, turn, pitch * rng.uniform(0, 0.1))
    if rng.random() < 0.4:
        u, v = u + np.float32(rng.uniform(0.3, 0.7)) * v, v - np.float32(rng.uniform(0.3, 0.7)) * u
    ground = noise.colour(rng, (0.0, 0.4), (0.02, 0.95))
    mottle = 1 + np.float32(0.05) * noise.fractal(rng, size_px, size_px * 0.2, 4)
    image = noise.lit(np.broadcast_to(ground, (size_px, size_px, 3)), mottle)
    wire, half = metal_colour(rng), rng.uniform(0.08, 0.22)
    wave = np.float32(rng.uniform(0, 0.12)) * np.sin(v * np.float32(math.pi / pitch))
    for axis, offset in ((u, wave), (v, np.float32(0))):
        t = axis / np.float32(pitch) + offset
        d = (t - np.floor(t) - np.float32(0.5)) / np.float32(half)
        cover = noise.smoothstep(
            np.asarray(1 - np.abs(d), "f4"), -0.8 / (half * pitch), 0.8 / (half * pitch)
        )
        round_ = np.asarray(np.clip(1.1 - 0.6 * (d + 0.3) ** 2, 0.3, 1.2), np.float32)
        shade = noise.lit(np.broadcast_to(wire, image.shape), round_)
        image = noise.blend(image, shade, cover)
    return texture(image, float(rng.uniform(0, 6.3)))


def nonwoven(rng: np.random.Generator, size_px: int) -> Scene:
    """Render light fleece: cloudy fibre density, sometimes embossed with dots."""
    base = noise.colour(rng, (0.0, 0.3), (0.55, 0.95))
    cloud = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.04, 0.15), 4, 0.6)
    factor = 1 + np.float32(rng.uniform(0.02, 0.1)) * cloud
    if rng.random() < 0.5:
        pitch = size_px * log_uniform(rng, 0.03, 0.1)
        u, v = noise.coordinates(rng, size_px, noise.angle(rng))
        k = np.float32(2 * math.pi / pitch)
        dots = noise.smoothstep(np.cos(u * k) * np.cos(v * k), 0.3, 0.8)
        factor = factor - np.float32(rng.uniform(0.05, 0.25)) * dots
    image = noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), np.asarray(factor, "f4"))
    return texture(_fuzz(rng, image, rng.uniform(0.02, 0.08)), float(rng.uniform(0, 6.3)))


def ribbed_rubber(rng: np.random.Generator, size_px: int) -> Scene:
    """Render dark rubber: smooth, pebbled, ribbed or with raised dots."""
    base = noise.colour(rng, (0.0, 0.4), (0.06, 0.4))
    style, light = rng.integers(4), float(rng.uniform(0, 6.3))
    pitch = size_px * log_uniform(rng, 0.03, 0.15)
    u, v = noise.coordinates(rng, size_px, noise.angle(rng))
    k = np.float32(2 * math.pi / pitch)
    height = np.float32(0.3) * noise.fractal(rng, size_px, size_px * 0.02, 2)
    if style == 1:
        height = height + noise.fractal(rng, size_px, pitch * 0.5, 2)
    elif style == 2:
        height = height + np.tanh(3 * np.sin(u * k)) * np.float32(pitch * 0.12)
    elif style == 3:
        height = height + noise.smoothstep(np.cos(u * k) * np.cos(v * k), 0.1, 0.8) * np.float32(
            pitch * 0.25
        )
    factor = noise.relief(np.asarray(height, "f4"), rng.uniform(0.15, 0.5), light)
    bloom = 1 + np.float32(rng.uniform(0, 0.1)) * noise.fractal(rng, size_px, size_px * 0.3, 4)
    return texture(noise.lit(np.broadcast_to(base, (size_px, size_px, 3)), factor * bloom), light)


def frosted_glass(rng: np.random.Generator, size_px: int) -> Scene:
    """Render etched or ornament glass before a slow coloured ground."""
    ground = noise.tint(
        noise.smoothstep(noise.fractal(rng, size_px, size_px * 0.6, 2), -1.5, 1.5),
        noise.colour(rng, (0, 0.3), (0.3, 0.7)),
        noise.colour(rng, (0, 0.3), (0.5, 0.95)),
    )
    cell = size_px * log_uniform(rng, 0.008, 0.06)
    height = noise.fractal(rng, size_px, cell, 3, 0.6)
    light = float(rng.uniform(0, 6.3))
    factor = noise.relief(height, rng.uniform(0.04, 0.25), light)
    sparkle = cv2.pow(np.clip(height - np.float32(1.2), 0, 2), 2) * np.float32(rng.uniform(0, 0.1))
    return texture(noise.lit(ground, factor) + np.asarray(sparkle, "f4")[..., None], light)


FAMILIES = (
    Family("woven_fabric", "woven fabric", "texture", woven_fabric),
    Family("knitted_fabric", "knitted fabric", "texture", knitted_fabric),
    Family("leather", "leather", "texture", leather),
    Family("felt", "felt", "texture", felt),
    Family("carpet", "carpet", "texture", carpet),
    Family("carbon_fibre", "carbon fibre", "texture", carbon_fibre),
    Family("wire_mesh", "wire mesh", "texture", wire_mesh),
    Family("nonwoven", "nonwoven fleece", "texture", nonwoven),
    Family("ribbed_rubber", "rubber", "texture", ribbed_rubber),
    Family("frosted_glass", "frosted glass", "texture", frosted_glass),
)
