"""Defects that mark the surface: lines, pits, dents, stains. Knows scenes, not families."""

import math

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.defects_site import (
    Site,
    bounded,
    choose_site,
    shifted,
    sign,
    soft_spot,
    spot,
)
from model.data.procedural.scene import Defect, Field, Image, Scene


def scratch(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Draw one or a few thin bright or dark lines."""
    site = choose_site(rng, scene, difficulty)
    size = scene.size_px
    cover = np.zeros((size, size), np.float32)
    length = site.radius_px * rng.uniform(3, 9)
    width = size / 256 * rng.uniform(0.8, 1.2 + 2 * (1 - difficulty))
    bend = noise.log_uniform(rng, 0.003, 0.12)
    for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 6))):
        x, y = rng.normal((site.x, site.y), site.radius_px * 0.3)
        points = drawing.wander(rng, x, y, length * rng.uniform(0.5, 1), bend)
        cover = np.maximum(cover, drawing.stroke(size, points, width))
    cover = np.asarray(cover * scene.foreground, np.float32)
    amount = sign(rng, site) * site.contrast
    edge = noise.relief(noise.smooth(cover, 0.7), 0.8 * site.contrast, scene.light_rad)
    marked = noise.blend(scene.image, bounded(scene.image + np.float32(amount)), cover)
    return noise.lit(marked, edge), cover


def _branching(
    rng: np.random.Generator, size_px: int, site: Site, length: float, width: float
) -> Field:
    points = drawing.wander(rng, site.x, site.y, length, 0.45, 32)
    cover = drawing.stroke(size_px, points, width)
    for _ in range(int(rng.integers(0, 4))):
        start = points[rng.integers(4, 28)]
        branch = drawing.wander(rng, 0, 0, length * rng.uniform(0.15, 0.5), 0.4, 12)
        cover = np.maximum(cover, drawing.stroke(size_px, branch - branch[0] + start, width * 0.7))
    return cover


def crack(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Draw a dark jagged branching line."""
    site = choose_site(rng, scene, difficulty)
    width = scene.size_px / 256 * rng.uniform(0.8, 1.3 + 2 * (1 - difficulty))
    cover = _branching(rng, scene.size_px, site, site.radius_px * rng.uniform(3, 8), width)
    cover = np.asarray(cover * scene.foreground, np.float32)
    dark = bounded(
        scene.image * np.float32(0.9 - 0.8 * site.contrast) - 0.4 * np.float32(site.contrast)
    )
    if site.rgb.mean() < 0.15:
        dark = bounded(scene.image + np.float32(site.contrast))
    return noise.blend(scene.image, dark, cover), cover


def cut(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Open a straight slit, wide in its middle, with lit lips."""
    site = choose_site(rng, scene, difficulty)
    t = np.linspace(0, math.pi, 20)
    half, gape = (
        site.radius_px * rng.uniform(1.2, 3),
        max(0.8, site.radius_px * rng.uniform(0.06, 0.3)),
    )
    x = -np.cos(t) * half
    outline = np.concatenate(
        [np.stack([x, np.sin(t) * gape], 1), np.stack([x, -np.sin(t) * gape], 1)[::-1]]
    )
    pose = drawing.Pose(site.x, site.y, 1.0, float(rng.uniform(0, 6.3)))
    slit = drawing.polygon(scene.size_px, pose.place(outline)) * scene.foreground
    lips = np.clip(noise.smooth(slit, 1.2) * np.float32(2.0), 0, 1) * scene.foreground
    light = noise.relief(-lips, 1.2 * site.contrast, scene.light_rad)
    inside = bounded(scene.image * np.float32(0.7 - 0.7 * site.contrast))
    if site.rgb.mean() < 0.15:
        inside = bounded(scene.image + np.float32(site.contrast))
    return noise.blend(noise.lit(scene.image, light), inside, slit), np.asarray(lips, np.float32)


def hole(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Pierce the surface: what lies behind shows, with a lit rim."""
    site = choose_site(rng, scene, difficulty)
    cover = spot(rng, scene, site, rng.uniform(0.4, 0.9))
    behind = scene.backdrop * np.float32(rng.uniform(0.3, 0.9))
    if abs(float(behind.mean()) - float(site.rgb.mean())) < 0.1:
        behind = np.broadcast_to(shifted(site, sign(rng, site) * site.contrast), behind.shape)
    rim = np.clip(noise.smooth(cover, 1.2) * np.float32(1.5), 0, 1) * scene.foreground
    lit = noise.lit(scene.image, noise.relief(-rim, rng.uniform(0.2, 0.8), scene.light_rad))
    return noise.blend(lit, behind, cover), np.asarray(np.maximum(rim, cover), np.float32)


def pit(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Sink one or a cluster of small shaded blowholes."""
    site = choose_site(rng, scene, difficulty)
    size, count = scene.size_px, int(rng.choice([1, 1, 1, 2, 4, 9]))
    total = np.zeros((size, size), np.float32)
    base = max(size / 256 * 1.6, site.radius_px * rng.uniform(0.15, 0.5))
    for _ in range(count):
        radius = base * (1.0 if count == 1 else rng.uniform(0.4, 1))
        x, y = (site.x, site.y) if count == 1 else rng.normal((site.x, site.y), site.radius_px)
        outline = drawing.shift(drawing.blob(rng, radius, 0.3, rng.uniform(1, 1.6)), x, y)
        total = np.maximum(total, drawing.polygon(size, outline))
    cover = noise.smooth(np.asarray(total * scene.foreground, "f4"), base * 0.2) * scene.foreground
    amount = (0.3 + 0.7 * site.contrast) * (1 - 0.6 * difficulty)
    factor = (1 - np.float32(amount) * cover) * noise.relief(
        -cover * np.float32(base), 0.8 * amount, scene.light_rad
    )
    if site.rgb.mean() < 0.12:
        return noise.blend(scene.image, shifted(site, site.contrast), cover), cover
    return noise.lit(scene.image, factor), np.asarray(cover, np.float32)


def _swell(
    rng: np.random.Generator, scene: Scene, difficulty: float, outward: float
) -> tuple[Image, Field]:
    site = choose_site(rng, scene, difficulty)
    cover = spot(rng, scene, site, rng.uniform(0.6, 1.2), rng.uniform(1, 2))
    height = noise.smooth(cover, site.radius_px * rng.uniform(0.2, 0.5))
    depth = site.radius_px * (0.25 + 1.6 * site.contrast)
    factor = noise.relief(height * np.float32(outward * depth), 1.3, scene.light_rad)
    reach = noise.smoothstep(height, 0.03, 0.25)
    gx, gy = np.gradient(height)[::-1]
    pull = np.float32(outward * site.radius_px**2 * 0.3)
    moved = noise.displace(scene.image, np.asarray(gx * pull, "f4"), np.asarray(gy * pull, "f4"))
    dark = 1 - np.float32(0.15 * site.contrast) * height
    cover = np.asarray(reach * scene.foreground, np.float32)
    return noise.blend(scene.image, noise.lit(moved, factor * dark), cover), cover


def dent(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Press the surface in: one flank lit, the other in shade."""
    return _swell(rng, scene, difficulty, -1.0)


def bump(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Raise the surface: shading opposite to a dent's."""
    return _swell(rng, scene, difficulty, 1.0)


def stain(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Soak a patch with a darker, often ringed, tinted mark."""
    site = choose_site(rng, scene, difficulty)
    cover = soft_spot(rng, scene, site, rng.uniform(0.6, 1.4), rng.uniform(1, 2))
    if rng.random() < 0.5:
        rim = noise.smoothstep(cover, 0.05, 0.4) - noise.smoothstep(cover, 0.5, 0.95)
        cover = np.asarray(np.clip(0.55 * cover + rng.uniform(0.2, 0.7) * rim, 0, 1), "f4")
    absorbed = noise.colour(rng, (0.0, 0.6), (0.2, 0.6), (0.0, 0.15))
    wet = bounded(scene.image * (1 - np.float32(site.contrast) * (1.3 - absorbed)))
    if site.rgb.mean() < 0.2:
        wet = bounded(scene.image + np.float32(0.6 * site.contrast) * absorbed)
    return noise.blend(scene.image, wet, cover), cover


def discoloration(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Bleach or darken a patch, keeping its texture."""
    site = choose_site(rng, scene, difficulty)
    cover = soft_spot(rng, scene, site, rng.uniform(0.8, 1.6))
    amount = sign(rng, site) * site.contrast * (1 + rng.normal(0, 0.3, 3))
    changed = bounded(scene.image + amount.astype(np.float32) * np.float32(0.8))
    return noise.blend(scene.image, changed, cover), cover


def colour_shift(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Change the hue of a patch, and a little its brightness."""
    site = choose_site(rng, scene, difficulty)
    cover = soft_spot(rng, scene, site, rng.uniform(0.8, 1.6))
    tone = noise.colour(rng, (0.5, 1.0), (0.6, 1.0))
    luma = scene.image.mean(axis=2, keepdims=True)
    toned = bounded(luma * tone / np.float32(max(0.3, tone.mean())) + np.float32(0.08) * tone)
    share = np.float32(min(0.9, 0.2 + 1.2 * site.contrast))
    return noise.blend(scene.image, toned, cover * share), cover


def smear(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Wipe a streaked film along one direction."""
    site = choose_site(rng, scene, difficulty)
    turn = float(rng.uniform(0, 6.3))
    pose = drawing.Pose(site.x, site.y, site.radius_px, turn)
    u, v = pose.local(scene.size_px)
    length, width = rng.uniform(1.0, 2.8), rng.uniform(0.3, 0.8)
    envelope = noise.smoothstep(1 - (u / np.float32(length)) ** 2, 0, 0.6) * noise.smoothstep(
        1 - (v / np.float32(width)) ** 2, 0, 0.5
    )
    lines = noise.oriented(
        rng, scene.size_px, turn, site.radius_px * 2, max(1.0, site.radius_px * 0.1)
    )
    cover = np.asarray(envelope * np.clip(0.6 + 0.4 * lines, 0, 1) * scene.foreground, np.float32)
    dragged = noise.smooth(scene.image, site.radius_px * 0.2) + np.float32(
        sign(rng, site) * site.contrast * 0.8
    )
    return noise.blend(scene.image, bounded(dragged), cover), cover


def burn(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Char a patch: black core, brown halo."""
    site = choose_site(rng, scene, difficulty)
    core = soft_spot(rng, scene, site, rng.uniform(0.4, 0.8))
    rough = 1 + np.float32(0.4) * noise.fractal(
        rng, scene.size_px, max(2.0, site.radius_px * 0.5), 3
    )
    halo = np.clip(noise.smooth(core, site.radius_px * 0.4) * 1.6 * rough, 0, 1) * scene.foreground
    share = np.float32(0.35 + 0.6 * (1 - difficulty))
    brown = np.array([0.32, 0.2, 0.1], np.float32) * np.float32(rng.uniform(0.6, 1.2))
    image = noise.blend(scene.image, scene.image * (brown + 0.2), np.asarray(halo * share, "f4"))
    soot = np.full(3, rng.uniform(0.0, 0.08), np.float32)
    image = noise.blend(image, soot, np.asarray(np.clip(core * rough, 0, 1) * share, "f4"))
    return image, np.asarray(np.maximum(halo, core), np.float32)


def rust(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Corrode a ragged, spotted, orange-brown patch."""
    site = choose_site(rng, scene, difficulty)
    area = soft_spot(rng, scene, site, rng.uniform(0.8, 1.5))
    cell = max(2.0, site.radius_px * rng.uniform(0.2, 0.7))
    rough = noise.fractal(rng, scene.size_px, cell, 4, 0.7)
    cover = noise.smoothstep(area + np.float32(0.25) * rough, 0.35, 0.75) * (area > 0.02)
    tones = noise.tint(
        0.5 + 0.25 * rough,
        noise.colour(rng, (0.6, 0.8), (0.15, 0.3), (0.03, 0.06)),
        noise.colour(rng, (0.6, 0.9), (0.45, 0.7), (0.05, 0.09)),
    )
    share = np.float32(0.3 + 0.65 * (1 - difficulty))
    cover = np.asarray(cover * scene.foreground, np.float32)
    return noise.blend(scene.image, tones, cover * share), cover


def uneven_polish(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Polish or roughen a patch: marks in another direction and another gloss."""
    site = choose_site(rng, scene, difficulty)
    cover = soft_spot(rng, scene, site, rng.uniform(0.9, 1.6), rng.uniform(1, 2.5))
    marks = noise.oriented(
        rng,
        scene.size_px,
        float(rng.uniform(0, 6.3)),
        site.radius_px * 1.5,
        max(1.0, scene.size_px / 180),
    )
    flat = noise.smooth(scene.image, max(1.0, site.radius_px * 0.15))
    factor = (
        1
        + np.float32(sign(rng, site) * site.contrast * 0.6)
        + np.float32(0.1 + 0.4 * site.contrast) * marks * np.float32(0.6)
    )
    return noise.blend(scene.image, noise.lit(flat, factor), cover), cover


DEFECTS = (
    Defect("scratch", "scratch", scratch),
    Defect("crack", "crack", crack),
    Defect("cut", "cut", cut),
    Defect("hole", "hole", hole),
    Defect("pit", "pit", pit),
    Defect("dent", "dent", dent),
    Defect("bump", "bump", bump),
    Defect("stain", "stain", stain),
    Defect("discoloration", "discoloration", discoloration),
    Defect("colour_shift", "colour shift", colour_shift),
    Defect("smear", "smear", smear),
    Defect("burn", "burn mark", burn),
    Defect("rust", "rust", rust),
    Defect("uneven_polish", "uneven polish", uneven_polish),
)
