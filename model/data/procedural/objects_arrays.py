"""Products made of equal parts in rows: packs, keypads, trays. Knows normal ones, nothing of defects."""

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.drawing import Pose
from model.data.procedural.objects_canvas import Canvas, draw_pose, placed
from model.data.procedural.objects_print import lettering
from model.data.procedural.scene import Family, Scene
from model.data.procedural.textures_metal import metal_colour


def _places(
    rng: np.random.Generator, half: float, most: int
) -> tuple[list[tuple[float, float]], float]:
    """Draw the places of a grid on a board of half height `half`, and the room round each, in radii."""
    columns = int(rng.integers(3, most + 1))
    pitch = 1.8 / columns
    rows = max(1, int(1.8 * half / pitch))
    across = 1.8 * half / rows
    places = [
        ((c - (columns - 1) / 2) * pitch, (r - (rows - 1) / 2) * across)
        for r in range(rows)
        for c in range(columns)
    ]
    return places, min(pitch, across) / 2


def blister_pack(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a foil card with pockets and a pill in each."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.15)
    half = rng.uniform(0.45, 0.8)
    foil = metal_colour(rng) if rng.random() < 0.6 else noise.colour(rng, (0, 0.6), (0.3, 0.95))
    card = placed(pose, size_px, drawing.box(1.0, half, rng.uniform(0.02, 0.12)))
    canvas.paint(card, canvas.material(foil, 0.05), 1.0, shadow=True)
    places, room = _places(rng, half, 7)
    slim = rng.uniform(0.5, 1.0)
    pocket = drawing.box(room * 0.86, room * 0.86 * slim, room * 0.86 * slim)
    for x, y in places:
        canvas.paint(placed(pose, size_px, pocket, x, y), foil, size_px * 0.012, 1.2)
    pill = drawing.box(room * 0.62, room * 0.62 * slim, room * 0.62 * slim * rng.uniform(0.4, 1))
    pills = [placed(pose, size_px, pill, x, y) for x, y in places]
    canvas.mount(pills, noise.colour(rng, (0, 0.9), (0.2, 0.97)), size_px * 0.01)
    return canvas.scene()


def keypad(rng: np.random.Generator, size_px: int) -> Scene:
    """Render an operating panel with a grid of keys, marks on them and sometimes a window."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.15)
    half = rng.uniform(0.5, 0.9)
    rgb = noise.colour(rng, (0, 0.7), (0.04, 0.95))
    board = placed(pose, size_px, drawing.box(1.0, half, rng.uniform(0, 0.15)))
    canvas.paint(board, canvas.material(rgb, 0.03), size_px * 0.015, shadow=True)
    places, room = _places(rng, half, 6)
    wide, high = room * rng.uniform(0.5, 0.85), room * rng.uniform(0.5, 0.85)
    key = drawing.box(wide, high, min(wide, high) * rng.uniform(0.1, 1))
    keys = [placed(pose, size_px, key, x, y) for x, y in places]
    canvas.mount(keys, noise.colour(rng, (0, 0.8), (0.04, 0.97)), size_px * 0.008, shadow=True)
    ink = noise.colour(rng, (0, 0.5), (0.0, 0.98))
    if rng.random() < 0.7:
        for (x, y), cover in zip(places, keys, strict=True):
            mark = lettering(rng, pose.moved(x, y), size_px, wide * 0.6, high * 0.6)
            canvas.paint(mark * cover, ink)
    return canvas.scene()


def component_tray(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a tray whose compartments hold one loose part each, every part turned as it fell."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.15)
    half = rng.uniform(0.5, 0.95)
    rgb = noise.colour(rng, (0, 0.5), (0.04, 0.9))
    material = canvas.material(rgb, 0.04)
    canvas.paint(
        placed(pose, size_px, drawing.box(1.0, half, 0.05)), material, size_px * 0.012, shadow=True
    )
    places, room = _places(rng, half, 5)
    cell = drawing.box(room * 0.9, room * 0.9, room * rng.uniform(0, 0.3))
    floor = material * np.float32(rng.uniform(0.4, 0.9))
    for x, y in places:
        canvas.paint(placed(pose, size_px, cell, x, y), floor, size_px * 0.008, -1.0)
    long, slim = room * rng.uniform(0.45, 0.7), room * rng.uniform(0.15, 0.45)
    outline = (
        drawing.box(long, slim, slim * rng.uniform(0, 1))
        if rng.random() < 0.6
        else drawing.regular(int(rng.integers(3, 9)), long)
    )
    lies = rng.normal(0, rng.choice([0.03, 2.0]), len(places))
    parts = []
    for (x, y), turn in zip(places, lies, strict=True):
        at = pose.moved(x, y)
        turned = Pose(at.x, at.y, pose.radius_px, pose.angle_rad + float(turn))
        parts.append(placed(turned, size_px, outline))
    coat = metal_colour(rng) if rng.random() < 0.6 else noise.colour(rng, (0.1, 0.9), (0.1, 0.95))
    canvas.mount(parts, canvas.material(coat, 0.03), size_px * 0.008, shadow=True)
    return canvas.scene()


FAMILIES = (
    Family("blister_pack", "blister pack", "object", blister_pack, has_parts=True),
    Family("keypad", "keypad", "object", keypad, has_parts=True),
    Family("component_tray", "component tray", "object", component_tray, has_parts=True),
)
