"""Electric and electronic parts. Knows how a normal one looks, nothing of defects or cameras."""

import math

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.drawing import Points, Pose
from model.data.procedural.objects_canvas import Canvas, cylinder, draw_pose, placed
from model.data.procedural.objects_print import lettering
from model.data.procedural.scene import Family, Field, Scene
from model.data.procedural.textures_metal import metal_colour


def connector(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a plug housing with one or more rows of contact pins."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(3, 11))
    pitch = 1.7 / max(columns, rows + 1)
    half = min(0.75, pitch * rows / 2 + rng.uniform(0.1, 0.25))
    rgb = noise.colour(rng, (0, 0.8), (0.05, 0.9))
    housing = canvas.material(rgb, 0.03)
    canvas.paint(
        placed(pose, size_px, drawing.box(1.0, half, 0.06)), housing, size_px * 0.012, shadow=True
    )
    inner = placed(pose, size_px, drawing.box(0.92, half - 0.08, 0.03))
    canvas.paint(inner, housing * np.float32(rng.uniform(0.5, 0.95)), size_px * 0.01, -1.0)
    radius = pitch * rng.uniform(0.18, 0.34)
    outline = (
        drawing.box(radius, radius, 0.3 * radius)
        if rng.random() < 0.5
        else drawing.circle(20, radius)
    )
    places = [
        ((c - (columns - 1) / 2) * pitch, (r - (rows - 1) / 2) * pitch)
        for r in range(rows)
        for c in range(columns)
    ]
    pins = [placed(pose, size_px, outline, x, y) for x, y in places]
    canvas.mount(pins, np.clip(metal_colour(rng) * np.float32(1.3), 0, 1), size_px * 0.005)
    return canvas.scene()


def _traces(rng: np.random.Generator, pose: Pose, size_px: int, grid: Points) -> Field:
    """Cover conductors that run between grid lines with one bevelled bend each."""
    cover = np.zeros((size_px, size_px), np.float32)
    width = max(1.0, size_px * rng.uniform(0.005, 0.014))
    for _ in range(int(rng.integers(5, 18))):
        a, b, c, d = rng.choice(grid, 4)
        e = c + 0.1 * np.sign(d)
        bend = np.clip(np.array([[a, b], [a, c], [a + 0.1, e], [d, e]]), -0.93, 0.84)
        cover = np.maximum(cover, drawing.stroke(size_px, pose.place(bend), width))
    return cover


def circuit_board(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a board filling most of the picture: traces, pads, vias, mounted parts."""
    canvas = Canvas(rng, size_px)
    pose = Pose(
        size_px / 2,
        size_px / 2,
        size_px * rng.uniform(0.42, 0.62),
        float(rng.integers(4) * math.pi / 2 + rng.normal(0, 0.03)),
    )
    mask_rgb = noise.colour(
        rng, (0.4, 0.9), (0.15, 0.5), tuple(rng.choice([[0.3, 0.45], [0.55, 0.65], [0.0, 0.03]]))
    )
    canvas.paint(
        placed(pose, size_px, drawing.box(1.0, 0.9, 0.04)),
        canvas.material(mask_rgb, 0.03),
        1.0,
        shadow=True,
    )
    steps = int(rng.integers(6, 14))
    grid = np.linspace(-0.85, 0.85, steps)
    traces = _traces(rng, pose, size_px, grid)
    canvas.paint(traces, noise.vary(rng, mask_rgb + np.float32(0.12), 0.04), 0.7)
    cells = rng.permutation(steps * steps)[: int(rng.integers(10, 30))]
    spots = [(grid[k % steps], grid[k // steps] * 0.9) for k in cells]
    pad = 0.5 * (grid[1] - grid[0]) * rng.uniform(0.3, 0.7)
    split = int(rng.integers(4, len(spots) - 4))
    pads = [placed(pose, size_px, drawing.circle(16, pad), x, y) for x, y in spots[split:]]
    total = np.asarray(np.max(pads, axis=0), np.float32)
    canvas.paint(total, noise.colour(rng, (0.1, 0.5), (0.6, 0.95), (0.1, 0.14)), 1.0)
    if rng.random() < 0.6:
        for x, y in spots[split:]:
            canvas.paint(
                placed(pose, size_px, drawing.circle(12, pad * 0.45), x, y),
                np.full(3, 0.05, np.float32),
            )
    long, wide = (1.2, 0.8) if rng.random() < 0.5 else (0.8, 1.2)
    body = drawing.box(pad * long, pad * wide)
    parts = [placed(pose, size_px, body, x, y) for x, y in spots[:split]]
    canvas.mount(parts, noise.colour(rng, (0, 0.5), (0.03, 0.8)), size_px * 0.005, shadow=True)
    return canvas.scene()


def chip_package(rng: np.random.Generator, size_px: int) -> Scene:
    """Render an integrated circuit with legs on two or four sides and printed text."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.15)
    quad = rng.random() < 0.5
    half = 0.8 if quad else rng.uniform(0.35, 0.6)
    count = int(rng.integers(4, 15))
    pitch = 1.5 / count
    leg = drawing.box(pitch * rng.uniform(0.2, 0.32), 0.14)
    sides = [(0.0, half), (math.pi, half)]
    if quad:
        sides += [(math.pi / 2, 0.8), (-math.pi / 2, 0.8)]
    legs: list[Field] = []
    # Known: legs reach under the body, and a missing one bites it (docs/experiments.md, "The generator").
    for turn, reach in sides:
        side = Pose(pose.x, pose.y, pose.radius_px, pose.angle_rad + turn)
        along = (np.arange(count) - (count - 1) / 2) * pitch
        legs.extend(placed(side, size_px, leg, x, reach + 0.1) for x in along)
    canvas.mount(legs, noise.colour(rng, (0, 0.1), (0.6, 0.9)), size_px * 0.005, shadow=True)
    body = noise.colour(rng, (0, 0.2), (0.06, 0.35))
    cover = placed(pose, size_px, drawing.box(0.8, half, 0.03))
    canvas.paint(cover, canvas.material(body, 0.06), size_px * 0.01, shadow=True)
    text = lettering(rng, pose, size_px, 0.55, half * 0.3)
    canvas.paint(text * np.float32(rng.uniform(0.3, 0.9)), noise.colour(rng, (0, 0.1), (0.6, 0.9)))
    dot = placed(pose, size_px, drawing.circle(16, 0.07), -0.65, -half + 0.15)
    canvas.paint(dot, body * np.float32(0.5), size_px * 0.006, -1.0)
    return canvas.scene()


def battery_cell(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a round cell lying on its side, with wrapper bands, print and a cap."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    half = rng.uniform(0.22, 0.42)
    wrap = placed(pose, size_px, drawing.box(0.92, half, 0.04))
    canvas.paint(
        wrap, canvas.material(noise.colour(rng, (0, 0.9), (0.1, 0.9)), 0.02), 1.0, shadow=True
    )
    start = rng.uniform(-0.8, 0.5)
    band = placed(pose, size_px, drawing.box(rng.uniform(0.08, 0.3), half), start)
    canvas.paint(band * wrap, noise.colour(rng, (0, 0.9), (0.05, 0.95)))
    canvas.paint(
        lettering(rng, pose, size_px, 0.5, half * 0.5) * wrap,
        noise.colour(rng, (0, 0.3), (0.0, 0.95)),
    )
    metal = noise.colour(rng, (0, 0.1), (0.6, 0.85))
    canvas.paint(placed(pose, size_px, drawing.box(0.05, half * 0.97, 0.02), -0.93), metal, 1.0)
    canvas.shade(cylinder(pose, size_px, half, rng.uniform(0.1, 0.7)), wrap)
    nub = placed(pose, size_px, drawing.box(0.06, half * rng.uniform(0.3, 0.5), 0.02), 0.97)
    canvas.mount([nub], metal, size_px * 0.006)
    return canvas.scene()


def terminal_block(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a row of clamp chambers with slotted screws."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    count = int(rng.integers(3, 8))
    pitch = 1.9 / count
    half = rng.uniform(0.25, 0.5)
    material = canvas.material(noise.colour(rng, (0.1, 0.9), (0.1, 0.9)), 0.03)
    canvas.paint(
        placed(pose, size_px, drawing.box(1.0, half, 0.03)), material, size_px * 0.01, shadow=True
    )
    radius = min(pitch * 0.36, half * 0.5)
    places = [((k - (count - 1) / 2) * pitch, -half * 0.35) for k in range(count)]
    for x, _ in places:
        slot = placed(pose, size_px, drawing.box(pitch * 0.3, half * 0.28, 0.02), x, half * 0.5)
        canvas.paint(slot, material * np.float32(0.3), size_px * 0.006, -1.0)
        edge = placed(pose, size_px, drawing.box(0.012, half), x + pitch / 2)
        canvas.paint(edge, material * np.float32(0.7))
    screws = []
    for x, y in places:
        centre = pose.moved(x, y)
        turned = Pose(centre.x, centre.y, pose.radius_px, float(rng.uniform(0, 6.3)))
        groove = placed(turned, size_px, drawing.box(radius, radius * 0.16))
        screws.append(
            placed(pose, size_px, drawing.circle(32, radius), x, y) * (1 - np.float32(0.8) * groove)
        )
    canvas.mount(screws, metal_colour(rng), size_px * 0.006)
    return canvas.scene()


FAMILIES = (
    Family("connector", "connector", "object", connector, has_parts=True),
    Family("circuit_board", "circuit board", "object", circuit_board, has_parts=True),
    Family("chip_package", "integrated circuit", "object", chip_package, has_parts=True),
    Family("battery_cell", "battery cell", "object", battery_cell, has_parts=True),
    Family("terminal_block", "terminal block", "object", terminal_block, has_parts=True),
)
