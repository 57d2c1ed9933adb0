"""Parts composed of random features under a rule of symmetry: wide families, hardly two products alike.

Knows normal ones, nothing of defects. What such a picture teaches is that a feature belongs where its rule
puts it, whatever the feature is.
"""

import itertools
import math

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.drawing import Points, Pose
from model.data.procedural.noise import Rgb, log_uniform
from model.data.procedural.objects_canvas import Canvas, cylinder, dome, draw_pose, placed, ring
from model.data.procedural.objects_print import lettering
from model.data.procedural.scene import Family, Image, Scene
from model.data.procedural.textures_metal import metal_colour


def _coat(canvas: Canvas, metal: float) -> tuple[Rgb, Image]:
    """Draw a colour, of metal with the given probability, and a material of it."""
    rng = canvas.rng
    if rng.random() < metal:
        rgb = noise.vary(rng, metal_colour(rng), 0.06)
        return rgb, canvas.material(rgb, 0.04, brushed=rng.random() < 0.5)
    rgb = noise.colour(rng, (0, 0.9), (0.05, 0.95))
    return rgb, canvas.material(rgb, rng.uniform(0.01, 0.06))


def _feature(rng: np.random.Generator, radius: float) -> Points:
    """Draw a small outline about the origin: round, square, hexagonal, long or a cross's arm."""
    style = rng.integers(5)
    if style == 0:
        return drawing.circle(32, radius)
    if style == 1:
        return drawing.box(radius, radius * rng.uniform(0.3, 0.9), radius * rng.uniform(0, 0.5))
    if style == 2:
        return drawing.regular(int(rng.integers(3, 9)), radius)
    if style == 3:
        return drawing.box(radius * rng.uniform(0.2, 0.4), radius, radius)
    return drawing.box(radius, radius * 0.35)


def machined_part(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a flange or hub from above: concentric steps and features on circles, equal all the way round."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    _, material = _coat(canvas, 0.7)
    fold = int(rng.integers(3, 11))
    t = np.linspace(0, 2 * math.pi, 180, endpoint=False)
    lobes = rng.uniform(0, 0.16) if rng.random() < 0.5 else 0.0
    reach = 1 - lobes * (0.5 - 0.5 * np.cos(fold * t))
    body = placed(pose, size_px, np.stack([reach * np.cos(t), reach * np.sin(t)], 1))
    canvas.paint(body, material, size_px * rng.uniform(0.004, 0.02), shadow=True)
    edges = np.sort(rng.uniform(0.2, 0.92 - lobes, int(rng.integers(2, 6))))[::-1]
    for outer, inner in itertools.pairwise(edges):
        tone = np.float32(rng.uniform(0.6, 1.2))
        depth = 1.0 if rng.random() < 0.5 else -1.0
        canvas.paint(ring(pose, size_px, outer, inner), material * tone, size_px * 0.008, depth)
    if rng.random() < 0.4:
        canvas.shade(dome(pose, size_px, canvas.light_rad, rng.uniform(0, 0.3)), body)
    for _ in range(int(rng.integers(1, 4))):
        radius = rng.uniform(0.3, 0.8 - lobes)
        outline = _feature(rng, min(0.13, 0.7 * radius * math.pi / fold) * rng.uniform(0.5, 1))
        pierced, turn = rng.random() < 0.5, rng.uniform(0, 2 * math.pi)
        for k in range(fold):
            at = Pose(
                pose.x, pose.y, pose.radius_px, pose.angle_rad + turn + 2 * math.pi * k / fold
            )
            cover = placed(at, size_px, drawing.shift(outline, radius, 0.0))
            if pierced:
                canvas.pierce(cover)
            else:
                canvas.paint(cover, material * np.float32(0.7), size_px * 0.006, -1.0)
    if rng.random() < 0.6:
        canvas.pierce(placed(pose, size_px, drawing.circle(64, rng.uniform(0.08, edges[-1]))))
    return canvas.scene()


def moulded_part(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a moulded housing: its left half mirrors its right one; ribs, bosses, windows, sometimes type."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.1)
    rgb, material = _coat(canvas, 0.15)
    half = rng.uniform(0.4, 0.85)
    body = placed(pose, size_px, drawing.box(0.95, half, half * rng.uniform(0.05, 0.9)))
    canvas.paint(body, material, size_px * rng.uniform(0.008, 0.025), shadow=True)
    lip = rng.uniform(0.05, 0.15)
    if rng.random() < 0.6:
        inside = placed(pose, size_px, drawing.box(0.95 - lip, half - lip, half * 0.3))
        tone = np.float32(rng.uniform(0.6, 1.1))
        canvas.paint(inside * body, material * tone, size_px * 0.01, -1.0)
    for _ in range(int(rng.integers(2, 7))):
        outline = _feature(rng, log_uniform(rng, 0.06, 0.26))
        x, y = rng.uniform(0.0, 0.7), rng.uniform(-0.75, 0.75) * half
        tone, pierced = np.float32(rng.uniform(0.5, 1.25)), rng.random() < 0.25
        depth = 1.0 if rng.random() < 0.5 else -1.0
        for side in (-1.0, 1.0):
            cover = placed(pose, size_px, drawing.shift(outline, x, y) * (side, 1.0)) * body
            if pierced:
                canvas.pierce(cover)
            else:
                canvas.paint(cover, material * tone, size_px * 0.008, depth)
    if rng.random() < 0.4:
        text = lettering(rng, pose.moved(0.0, half * 0.5), size_px, 0.4, half * 0.2) * body
        ink = noise.vary(rng, rgb, 0.3) if rng.random() < 0.5 else rgb * np.float32(0.7)
        canvas.paint(text, ink, 0.7)
    return canvas.scene()


def stamped_part(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a contact strip or lead frame: one punched pattern, repeated along the sheet."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.05)
    _, material = _coat(canvas, 0.9)
    count, half = int(rng.integers(3, 9)), rng.uniform(0.35, 0.8)
    pitch = 2.0 / count
    sheet = placed(pose, size_px, drawing.box(1.0, half))
    canvas.paint(sheet, material, size_px * 0.005, shadow=True)
    for _ in range(int(rng.integers(2, 5))):
        outline = _feature(rng, pitch * rng.uniform(0.15, 0.42))
        y, pierced = rng.uniform(-0.75, 0.75) * half, rng.random() < 0.75
        for k in range(count):
            x = (k - (count - 1) / 2) * pitch
            cover = placed(pose, size_px, drawing.shift(outline, x, y)) * sheet
            if pierced:
                canvas.pierce(cover)
            else:
                canvas.paint(cover, material, size_px * 0.008, rng.choice([-1.2, 1.2]))
    return canvas.scene()


def turned_part(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a shaft, fitting or handle from the side: coaxial sections, each a cylinder of its own."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    rgb, material = _coat(canvas, 0.6)
    count = int(rng.integers(2, 8))
    cuts = np.concatenate([[-1.0], np.sort(rng.uniform(-0.9, 0.9, count - 1)), [1.0]])
    u, _ = pose.local(size_px)
    widest = rng.uniform(0.2, 0.45)
    gloss = rng.uniform(0.05, 0.7)
    for left, right in itertools.pairwise(cuts):
        half = widest * rng.uniform(0.35, 1.0)
        corner = rng.uniform(0, 0.06) if rng.random() < 0.5 else 0.0
        outline = drawing.shift(
            drawing.box((right - left) / 2 + 0.004, half, corner), (left + right) / 2, 0.0
        )
        cover = placed(pose, size_px, outline)
        coat = material if rng.random() < 0.6 else canvas.material(noise.vary(rng, rgb, 0.2), 0.03)
        canvas.paint(cover, coat, size_px * 0.004, shadow=True)
        if rng.random() < 0.35:  # grooves, thread or knurl
            wave = np.sin(u * np.float32(2 * math.pi / rng.uniform(0.03, 0.09)))
            canvas.shade(np.asarray(1 + rng.uniform(0.08, 0.35) * wave, "f4"), cover)
        canvas.shade(cylinder(pose, size_px, half * 1.05, gloss), cover)
    return canvas.scene()


def cable(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a cable end from the front: sheath, filler and cores of wires laid round one another."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    sheath = noise.colour(rng, (0, 0.8), (0.04, 0.7))
    canvas.paint(
        placed(pose, size_px, drawing.circle(96)),
        canvas.material(sheath, 0.05),
        size_px * 0.012,
        shadow=True,
    )
    inner = rng.uniform(0.78, 0.92)
    filler = canvas.material(noise.colour(rng, (0, 0.3), (0.1, 0.8)), 0.08)
    canvas.paint(placed(pose, size_px, drawing.circle(64, inner)), filler, size_px * 0.006, -1.0)
    cores = int(rng.integers(2, 8))
    radius = 0.92 * inner * math.sin(math.pi / cores) / (1 + math.sin(math.pi / cores))
    wire = radius * rng.uniform(0.55, 0.8)
    strand = wire * rng.uniform(0.14, 0.3)
    metal = metal_colour(rng)
    colours = [noise.colour(rng, (0.1, 0.95), (0.1, 0.95)) for _ in range(cores)]
    strands: list[Points] = []
    for centre, rgb in zip(drawing.circle(cores, inner - radius), colours, strict=True):
        at = pose.moved(*centre)
        canvas.paint(placed(at, size_px, drawing.circle(48, radius)), rgb, size_px * 0.008)
        canvas.paint(placed(at, size_px, drawing.circle(40, wire)), metal * np.float32(0.3))
        spots = int((wire / strand) ** 2 * 0.72)
        for k in range(spots):
            # The sunflower spiral packs round strands nearly as a stranding machine does.
            reach, turn = (wire - strand) * math.sqrt((k + 0.3) / spots), 2.4 * k
            spot = drawing.circle(12, strand * 0.8)
            strands.append(
                at.place(drawing.shift(spot, reach * math.cos(turn), reach * math.sin(turn)))
            )
    canvas.paint(drawing.polygon(size_px, *strands), metal, 0.8)
    return canvas.scene()


FAMILIES = (
    Family("machined_part", "machined part", "object", machined_part),
    Family("moulded_part", "moulded housing", "object", moulded_part),
    Family("stamped_part", "stamped strip", "object", stamped_part),
    Family("turned_part", "turned part", "object", turned_part),
    Family("cable", "cable", "object", cable),
)
