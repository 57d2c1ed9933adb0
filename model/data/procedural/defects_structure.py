"""Defects of structure and foreign matter. Knows scenes, not families."""

import math

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.defects_site import (
    bounded,
    choose_site,
    shifted,
    sign,
    soft_spot,
    spot,
)
from model.data.procedural.scene import Defect, Field, Image, Scene


def particle(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Drop a shaded crumb, chip or bead with a small shadow."""
    site = choose_site(rng, scene, difficulty)
    scale = rng.uniform(0.2, 0.6)
    cover = spot(rng, scene, site, scale, rng.uniform(1, 2.2))
    tone = noise.colour(rng, (0.0, 0.9), (0.05, 0.95))
    share = np.float32(1 - 0.55 * difficulty)
    height = noise.smooth(cover, max(0.8, site.radius_px * scale * 0.3)) * np.float32(
        site.radius_px * scale
    )
    body = noise.lit(
        np.broadcast_to(tone, scene.image.shape), noise.relief(height, 0.7, scene.light_rad)
    )
    reach = np.full(cover.shape, max(1.0, site.radius_px * 0.15), np.float32)
    shadow = noise.displace(
        cover, -math.cos(scene.light_rad) * reach, -math.sin(scene.light_rad) * reach
    )
    image = noise.lit(scene.image, 1 - np.float32(0.45) * share * shadow * scene.foreground)
    return noise.blend(image, body, cover * share), np.maximum(cover, shadow * scene.foreground)


def fibre(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Lay a curled hair or lint thread."""
    site = choose_site(rng, scene, difficulty)
    bend = rng.uniform(0.1, 0.45)
    points = drawing.wander(rng, site.x, site.y, site.radius_px * rng.uniform(3, 9), bend, 30)
    width = scene.size_px / 256 * rng.uniform(0.7, 1.2 + 1.5 * (1 - difficulty))
    cover = drawing.stroke(scene.size_px, points, width) * scene.foreground
    tone = shifted(site, sign(rng, site) * (0.1 + site.contrast))
    tone = noise.vary(rng, tone, 0.1)
    return noise.blend(scene.image, tone, np.asarray(cover, "f4")), np.asarray(cover, "f4")


def droplet(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Put a drop of liquid or glue: lens effect, dark rim, highlight."""
    site = choose_site(rng, scene, difficulty)
    cover = spot(rng, scene, site, rng.uniform(0.4, 0.9), rng.uniform(1, 1.4))
    radius = max(1.0, site.radius_px * 0.25)
    height = noise.smooth(cover, radius)
    film = noise.colour(rng, (0.0, 0.5), (0.3, 0.9))
    tinted = noise.blend(scene.image, film, np.full_like(cover, rng.uniform(0.0, 0.5)))
    factor = noise.relief(
        height * np.float32(radius * 2.5), 0.4 + 1.5 * site.contrast, scene.light_rad
    )
    rim = 1 - np.float32(site.contrast) * noise.smoothstep(1 - height, 0.3, 0.8)
    return noise.blend(scene.image, noise.lit(tinted, factor * rim), cover), cover


def residue(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Leave a crusty patch of specks."""
    site = choose_site(rng, scene, difficulty)
    area = soft_spot(rng, scene, site, rng.uniform(0.8, 1.5), rng.uniform(1, 2))
    rough = noise.fractal(rng, scene.size_px, max(1.5, site.radius_px * rng.uniform(0.12, 0.4)), 2)
    cover = (
        noise.smoothstep(rough * np.float32(0.3) + area, 0.7, 0.95)
        * (area > 0.1)
        * scene.foreground
    )
    tone = noise.vary(rng, shifted(site, sign(rng, site) * site.contrast), 0.05)
    region = np.asarray(np.maximum(cover, 0.6 * (area > 0.45)), np.float32)
    return noise.blend(scene.image, tone, np.asarray(cover, "f4")), region


def warp(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Shift or swirl the pattern locally."""
    site = choose_site(rng, scene, difficulty)
    u, v = drawing.Pose(site.x, site.y, site.radius_px * rng.uniform(1.0, 2.0), 0.0).local(
        scene.size_px
    )
    bell = noise.smoothstep(1 - np.sqrt(u * u + v * v), 0.0, 0.7)
    push = site.radius_px * (0.2 + 0.8 * (1 - difficulty)) * rng.uniform(0.5, 1)
    turn = rng.uniform(0, 6.3)
    if rng.random() < 0.4:
        dx, dy = -v * bell * np.float32(push * 1.5), u * bell * np.float32(push * 1.5)
    else:
        dx, dy = bell * np.float32(push * math.cos(turn)), bell * np.float32(push * math.sin(turn))
    moved = noise.displace(scene.image, dx, dy)
    region = np.asarray((bell > 0.12) * (scene.foreground > 0.3), np.float32)
    return noise.blend(scene.image, moved, region), region


def blurred_patch(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Wipe out the fine texture of a patch."""
    site = choose_site(rng, scene, difficulty)
    cover = soft_spot(rng, scene, site, rng.uniform(1.0, 1.7))
    sigma = scene.size_px / 256 * (1.5 + 6 * (1 - difficulty)) * rng.uniform(0.7, 1.3)
    change = 1 + np.float32(sign(rng, site) * 0.15 * site.contrast)
    flat = bounded(noise.smooth(scene.image, sigma) * change)
    return noise.blend(scene.image, flat, cover), cover


def _patch_from(rng: np.random.Generator, scene: Scene) -> Image:
    """Return another pattern: a turned copy of the scene, or fresh noise of its colours."""
    style = rng.integers(3)
    if style == 0:
        return np.ascontiguousarray(np.rot90(scene.image, int(rng.integers(1, 4))))
    size = scene.size_px
    if style == 1:
        field = noise.fractal(rng, size, size * noise.log_uniform(rng, 0.01, 0.1), 3)
    else:
        across = size * noise.log_uniform(rng, 0.006, 0.04)
        field = noise.oriented(rng, size, float(rng.uniform(0, 6.3)), across * 10, across)
    flat = scene.image.reshape(-1, 3)
    mean = flat[rng.integers(0, len(flat), 64)].mean(axis=0)
    return bounded(mean + rng.uniform(0.05, 0.2) * field[..., None] * np.ones(3, np.float32))


def pattern_swap(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Replace a patch by another pattern."""
    site = choose_site(rng, scene, difficulty)
    cover = spot(rng, scene, site, rng.uniform(0.7, 1.4), rng.uniform(1, 2))
    if rng.random() < 0.3:
        half = site.radius_px * rng.uniform(0.5, 1.3, 2)
        pose = drawing.Pose(site.x, site.y, 1.0, noise.angle(rng))
        cover = drawing.polygon(scene.size_px, pose.place(drawing.box(*half))) * scene.foreground
    share = np.float32(1 - 0.6 * difficulty)
    cover = np.asarray(cover, np.float32)
    return noise.blend(scene.image, _patch_from(rng, scene), cover * share), cover


def wrinkle(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Fold the surface along a few roughly parallel shaded ridges."""
    site = choose_site(rng, scene, difficulty)
    size = scene.size_px
    height = np.zeros((size, size), np.float32)
    points = drawing.wander(rng, site.x, site.y, site.radius_px * rng.uniform(2.5, 6), 0.08)
    width = max(1.2, site.radius_px * rng.uniform(0.1, 0.3))
    step = rng.normal(0, 1, 2) * width * 2
    for k in range(int(rng.integers(1, 4))):
        height = np.maximum(height, drawing.stroke(size, points + step * k, width))
    height = noise.smooth(height, width * 0.6)
    cover = np.asarray(noise.smoothstep(height, 0.04, 0.25) * scene.foreground, np.float32)
    rise = np.float32(width * (1.0 + 5 * site.contrast) * rng.choice([-1, 1]))
    factor = noise.relief(height * rise, 1.2, scene.light_rad)
    shift = height * np.float32(width * 0.8)
    moved = noise.displace(scene.image, shift, -shift)
    return noise.blend(scene.image, noise.lit(moved, factor), cover), cover


def thread_pull(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Pull a straight thread: the pattern shifts along it and a bright and a dark line remain."""
    site = choose_site(rng, scene, difficulty)
    pose = drawing.Pose(site.x, site.y, site.radius_px, noise.angle(rng))
    u, v = pose.local(scene.size_px)
    length, width = rng.uniform(1.5, 4), rng.uniform(0.1, 0.25)
    along = noise.smoothstep(1 - np.abs(u / np.float32(length)), 0, 0.3)
    across = np.exp(-((v / np.float32(width)) ** 2))
    cover = np.asarray(along * across * scene.foreground, np.float32)
    push = cover * np.float32(site.radius_px * 0.5)
    c, s = np.float32(math.cos(pose.angle_rad)), np.float32(math.sin(pose.angle_rad))
    moved = noise.displace(scene.image, push * c, push * s)
    line = np.clip(v / np.float32(width), -1.5, 1.5) * cover * np.float32(2.5 * site.contrast)
    return noise.blend(scene.image, noise.lit(moved, 1 + line), np.clip(cover * 2, 0, 1)), cover


def misprint(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Add unwanted ink: a ghost of the pattern beside itself, a bar, or a blot with satellites."""
    site = choose_site(rng, scene, difficulty)
    size, style = scene.size_px, rng.integers(3)
    ink = shifted(site, sign(rng, site) * min(0.8, 0.15 + 1.2 * site.contrast))
    ink = noise.vary(rng, ink, 0.08)
    if style == 0:
        cover = spot(rng, scene, site, rng.uniform(0.8, 1.5))
        dx, dy = (
            np.full((size, size), d, np.float32) for d in rng.normal(0, site.radius_px * 0.5, 2) + 2
        )
        ghost = noise.displace(scene.image, dx, dy)
        ghost = bounded(np.minimum(ghost, scene.image) * np.float32(1 - 0.3 * site.contrast))
        return noise.blend(scene.image, ghost, cover * np.float32(1 - 0.5 * difficulty)), cover
    if style == 1:
        pose = drawing.Pose(site.x, site.y, site.radius_px, noise.angle(rng))
        bar = drawing.box(rng.uniform(0.6, 1.6), rng.uniform(0.06, 0.25))
        cover = drawing.polygon(size, pose.place(bar))
    else:
        cover = spot(rng, scene, site, 0.4)
        for _ in range(int(rng.integers(0, 6))):
            x, y = rng.normal((site.x, site.y), site.radius_px * 0.6)
            cover = np.maximum(
                cover, drawing.disk(size, x, y, site.radius_px * rng.uniform(0.05, 0.2))
            )
    cover = np.asarray(cover * scene.foreground, np.float32)
    return noise.blend(scene.image, ink, cover), cover


def broken_edge(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Bite material off the outline so that the background shows."""
    site = choose_site(rng, scene, difficulty, edge=True)
    cover = spot(rng, scene, site, rng.uniform(0.5, 1.2), rng.uniform(1, 1.8))
    image = noise.blend(scene.image, scene.backdrop, cover)
    rim = (
        np.clip(noise.smooth(cover, max(0.8, site.radius_px * 0.1)) * 1.6, 0, 1) * scene.foreground
    )
    face = bounded(noise.smooth(scene.image, 1.0) * np.float32(rng.uniform(0.6, 1.3)))
    band = np.asarray(np.clip(rim - cover, 0, 1), np.float32)
    return noise.blend(image, face, band), np.asarray(np.maximum(cover, rim * (rim > 0.2)), "f4")


def chip(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Flake off the top layer: rough facets of another tone with a lit edge."""
    site = choose_site(rng, scene, difficulty, edge=rng.random() < 0.4)
    cover = spot(rng, scene, site, rng.uniform(0.5, 1.1), rng.uniform(1, 2))
    cells = noise.voronoi(rng, scene.size_px, max(3.0, site.radius_px * 0.6))
    facets = noise.smooth(noise.per_cell(rng, cells, -1, 1), 0.8)
    base = shifted(site, sign(rng, site) * site.contrast * 0.8)
    factor = 1 + np.float32(0.05 + 0.3 * site.contrast) * facets
    edge = noise.relief(
        -noise.smooth(cover, 1.0) * np.float32(1.5), 0.5 * (1 - 0.6 * difficulty), scene.light_rad
    )
    flaked = noise.lit(np.broadcast_to(base, scene.image.shape), np.asarray(factor * edge, "f4"))
    return noise.blend(scene.image, flaked, cover), cover


def missing_part(rng: np.random.Generator, scene: Scene, difficulty: float) -> tuple[Image, Field]:
    """Take one removable part off; at low difficulty sometimes several."""
    count = 1 if rng.random() < 0.3 + 0.7 * difficulty else min(3, len(scene.parts))
    image, total = scene.image, np.zeros_like(scene.foreground)
    for index in rng.permutation(len(scene.parts))[:count]:
        part = scene.parts[index]
        reach = noise.smooth(part.cover, max(0.8, scene.size_px / 128))
        area = np.maximum(part.cover, noise.smoothstep(reach, 0.05, 0.4))
        image = noise.blend(image, part.without, area)
        total = np.maximum(total, area)
    return image, total


def misaligned_part(
    rng: np.random.Generator, scene: Scene, difficulty: float
) -> tuple[Image, Field]:
    """Shift one removable part out of its place."""
    part = scene.parts[rng.integers(len(scene.parts))]
    extent = math.sqrt(float(part.cover.sum()) / math.pi)
    push = max(2.5, extent * (0.4 + 1.2 * (1 - difficulty)))
    turn = rng.uniform(0, 6.3)
    dx, dy = (np.full_like(part.cover, push * f(turn)) for f in (math.cos, math.sin))
    reach = noise.smooth(part.cover, max(0.8, scene.size_px / 128))
    old = np.maximum(part.cover, noise.smoothstep(reach, 0.05, 0.4))
    image = noise.blend(scene.image, part.without, old)
    new = noise.displace(part.cover, dx, dy)
    image = noise.blend(image, noise.displace(scene.image, dx, dy), new)
    return image, np.maximum(old, new)


DEFECTS = (
    Defect("particle", "foreign particle", particle),
    Defect("fibre", "fibre contamination", fibre),
    Defect("droplet", "droplet", droplet),
    Defect("residue", "residue", residue),
    Defect("warp", "warped pattern", warp),
    Defect("blurred_patch", "blurred patch", blurred_patch),
    Defect("pattern_swap", "wrong pattern", pattern_swap),
    Defect("wrinkle", "wrinkle", wrinkle),
    Defect("thread_pull", "thread pull", thread_pull, kinds=("texture",)),
    Defect("misprint", "misprint", misprint),
    Defect("broken_edge", "broken edge", broken_edge, kinds=("object",)),
    Defect("chip", "chip", chip),
    Defect("missing_part", "missing part", missing_part, kinds=("object",), needs_parts=True),
    Defect(
        "misaligned_part", "misaligned part", misaligned_part, kinds=("object",), needs_parts=True
    ),
)
