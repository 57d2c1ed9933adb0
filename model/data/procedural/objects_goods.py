"""Consumer goods: caps, pills, bottles, food, labels. Knows normal ones, nothing of defects."""

import math

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.drawing import Pose
from model.data.procedural.noise import log_uniform
from model.data.procedural.objects_canvas import Canvas, cylinder, dome, draw_pose, ring
from model.data.procedural.objects_print import lettering
from model.data.procedural.scene import Family, Scene
from model.data.procedural.textures_metal import metal_colour


def bottle_cap(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a crown cork or screw cap from above with a printed top."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    teeth = int(rng.integers(18, 64))
    t = np.linspace(0, 2 * math.pi, teeth * 8, endpoint=False)
    r = 1 - rng.uniform(0.01, 0.06) * (0.5 + 0.5 * np.cos(teeth * t))
    outline = drawing.polygon(size_px, pose.place(np.stack([r * np.cos(t), r * np.sin(t)], 1)))
    rgb = noise.colour(rng, (0, 0.9), (0.1, 0.95))
    canvas.paint(outline, canvas.material(rgb, 0.03), size_px * 0.012, 1.2, shadow=True)
    top = drawing.polygon(size_px, pose.place(drawing.circle(64, rng.uniform(0.72, 0.86))))
    canvas.paint(top, canvas.material(noise.vary(rng, rgb, 0.06), 0.02), size_px * 0.01)
    ink = noise.colour(rng, (0, 0.8), (0.0, 1.0))
    if rng.random() < 0.6:
        canvas.paint(ring(pose, size_px, 0.66, rng.uniform(0.5, 0.62)), ink)
    if rng.random() < 0.7:
        canvas.paint(lettering(rng, pose, size_px, 0.42, 0.3), ink)
    canvas.shade(dome(pose, size_px, canvas.light_rad, rng.uniform(0, 0.3)), outline)
    return canvas.scene()


def tablet(rng: np.random.Generator, size_px: int) -> Scene:
    """Render one tablet, round or oblong, with score line or embossing and coloured specks."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    half = 1.0 if rng.random() < 0.5 else rng.uniform(0.4, 0.8)
    outline = drawing.box(1.0, half, half) if half < 1 else drawing.circle(64)
    cover = drawing.polygon(size_px, pose.place(outline))
    rgb = (
        noise.colour(rng, (0, 0.15), (0.7, 0.97))
        if rng.random() < 0.6
        else noise.colour(rng, (0.2, 0.8), (0.4, 0.95))
    )
    body = canvas.material(rgb, rng.uniform(0.01, 0.05))
    if rng.random() < 0.5:
        specks = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.01, 0.04), 2)
        dots = noise.smoothstep(specks, rng.uniform(1, 2), 2.2)
        body = noise.blend(body, noise.colour(rng, (0.3, 0.9), (0.2, 0.8)), dots * np.float32(0.7))
    canvas.paint(cover, body, size_px * rng.uniform(0.012, 0.035), shadow=True)
    if rng.random() < 0.5:
        line = drawing.polygon(size_px, pose.place(drawing.box(0.025, half * 1.1)))
        canvas.paint(line * cover, body * np.float32(0.85), size_px * 0.01, -1.0)
    else:
        text = lettering(rng, pose, size_px, 0.45, half * 0.4)
        canvas.paint(text, body * np.float32(rng.uniform(0.6, 0.95)), 1.0, -1.0)
    return canvas.scene()


def capsule(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a two-piece hard capsule with print and highlights."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    half = rng.uniform(0.28, 0.4)
    first = noise.colour(rng, (0, 0.9), (0.2, 0.97))
    second = noise.colour(rng, (0, 0.9), (0.2, 0.97))
    cover = drawing.polygon(size_px, pose.place(drawing.box(1.0, half, half)))
    canvas.paint(cover, canvas.material(first, 0.01), 1.0, shadow=True)
    seam = rng.uniform(-0.2, 0.2)
    u, _ = pose.local(size_px)
    canvas.paint(cover * noise.smoothstep(u, seam, seam + 0.02), canvas.material(second, 0.01))
    edge = np.exp(-(((u - np.float32(seam)) / 0.02) ** 2)) * cover * np.float32(0.5)
    canvas.paint(np.asarray(edge, "f4"), second * np.float32(0.5))
    if rng.random() < 0.7:
        text = lettering(
            rng,
            pose.moved(0.5, 0.0),
            size_px,
            0.3,
            half * 0.45,
        )
        canvas.paint(text * cover, noise.colour(rng, (0, 0.3), (0.0, 0.25)))
    canvas.shade(cylinder(pose, size_px, half, rng.uniform(0.2, 0.8)), cover)
    return canvas.scene()


def bottle(rng: np.random.Generator, size_px: int) -> Scene:
    """Render the mouth or base of a bottle from above: concentric glossy rings."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    glass = noise.colour(rng, (0.1, 0.9), (0.05, 0.5), (0.05, 0.45))
    cover = drawing.polygon(size_px, pose.place(drawing.circle(96)))
    canvas.paint(cover, canvas.material(glass, 0.03), size_px * 0.01, shadow=True)
    u, v = pose.local(size_px)
    reach = np.sqrt(u * u + v * v)
    turn = np.arctan2(v, u)
    total = np.ones_like(reach)
    for _ in range(int(rng.integers(3, 9))):
        radius, width = rng.uniform(0.15, 0.97), log_uniform(rng, 0.01, 0.12)
        arc = 1 + rng.uniform(0, 0.9) * np.cos(rng.integers(1, 4) * turn + rng.uniform(0, 6.3))
        total += rng.uniform(-0.6, 1.2) * arc * np.exp(-(((reach - radius) / width) ** 2))
    canvas.shade(np.asarray(np.clip(total, 0.1, 3), np.float32), cover)
    inner = rng.uniform(0.3, 0.75)
    throat = drawing.polygon(size_px, pose.place(drawing.circle(64, inner)))
    canvas.paint(
        throat * np.float32(rng.uniform(0.3, 0.9)), glass * np.float32(rng.uniform(0.1, 1.6))
    )
    return canvas.scene()


def button(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a sewing button with rim and two or four holes."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    rgb = noise.colour(rng, (0, 0.8), (0.08, 0.95))
    body = canvas.material(rgb, rng.uniform(0.01, 0.08), brushed=rng.random() < 0.3)
    cover = drawing.polygon(size_px, pose.place(drawing.circle(80)))
    canvas.paint(cover, body, size_px * 0.02, shadow=True)
    dish = drawing.polygon(size_px, pose.place(drawing.circle(64, rng.uniform(0.55, 0.8))))
    canvas.paint(dish, body * np.float32(rng.uniform(0.85, 1.05)), size_px * 0.012, -1.0)
    count = int(rng.choice([2, 4]))
    for centre in drawing.circle(count, rng.uniform(0.18, 0.3)):
        hole = drawing.polygon(
            size_px, pose.place(drawing.circle(24, rng.uniform(0.08, 0.11)) + centre)
        )
        canvas.pierce(hole)
    canvas.shade(dome(pose, size_px, canvas.light_rad, rng.uniform(0, 0.4)), cover)
    return canvas.scene()


def cookie(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a baked biscuit with browned rim and chocolate pieces."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    wobble = drawing.blob(rng, 1.0, 0.06) if rng.random() < 0.7 else drawing.box(0.9, 0.7, 0.1)
    cover = drawing.polygon(size_px, pose.place(wobble))
    rgb = noise.colour(rng, (0.35, 0.7), (0.5, 0.85), (0.06, 0.11))
    rough = noise.fractal(rng, size_px, size_px * log_uniform(rng, 0.02, 0.06), 3, 0.7)
    dough = noise.lit(
        canvas.material(rgb, 0.05), noise.relief(rough, rng.uniform(0.1, 0.45), canvas.light_rad)
    )
    canvas.paint(cover, dough, size_px * 0.025, shadow=True)
    rim = 1 - noise.smooth(cover, pose.radius_px * 0.2)
    canvas.shade(np.asarray(1 - rng.uniform(0.1, 0.9) * rim, "f4"), cover)
    count, pieces = int(rng.integers(4, 14)), []
    for k in range(count):
        # The sunflower spiral keeps pieces apart without looking like a grid.
        reach, turn = 0.78 * math.sqrt((k + 0.5) / count), 2.4 * k + rng.normal(0, 0.2)
        piece = drawing.blob(rng, rng.uniform(0.06, 0.11), 0.3)
        spot = drawing.shift(piece, reach * math.cos(turn), 0.9 * reach * math.sin(turn))
        pieces.append(drawing.polygon(size_px, pose.place(spot)) * cover)
    canvas.mount(pieces, noise.colour(rng, (0.3, 0.6), (0.1, 0.35), (0.03, 0.08)), size_px * 0.008)
    return canvas.scene()


def zipper(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a closed zip: two woven tapes and interlocking teeth across the picture."""
    canvas = Canvas(rng, size_px)
    pose = Pose(
        size_px / 2, size_px / 2 + rng.normal(0, size_px * 0.05), size_px * 0.75, noise.angle(rng)
    )
    half = rng.uniform(0.22, 0.5)
    tape = noise.colour(rng, (0, 0.8), (0.06, 0.85))
    u, v = pose.local(size_px)
    k = np.float32(2 * math.pi / rng.uniform(0.02, 0.05))
    weave = np.asarray(1 + rng.uniform(0.05, 0.2) * np.sin(u * k) * np.sin(v * k), "f4")
    cover = drawing.polygon(size_px, pose.place(drawing.box(1.2, half)))
    canvas.paint(cover, noise.lit(canvas.material(tape, 0.05), weave), 1.0, shadow=True)
    pitch = rng.uniform(0.05, 0.11)
    reach, thick = rng.uniform(0.08, 0.15), pitch * rng.uniform(0.26, 0.4)
    teeth = []
    for index in range(int(1.9 / pitch)):
        side = 1 if index % 2 else -1
        tooth = drawing.box(thick, reach * 0.6, 0.01)
        tooth = drawing.shift(tooth, -0.95 + index * pitch, side * reach * 0.35)
        shape = drawing.polygon(size_px, pose.place(tooth))
        if float(shape.sum()) > 0.7 * 4 * thick * reach * 0.6 * pose.radius_px**2:
            teeth.append(shape)
    rgb = metal_colour(rng) if rng.random() < 0.7 else noise.vary(rng, tape, 0.1)
    canvas.mount(teeth, rgb, size_px * 0.007, shadow=True)
    return canvas.scene()


def label(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a sticker with text, bars and a frame."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.05)
    half = rng.uniform(0.45, 0.85)
    stock = noise.colour(rng, (0, 0.4), (0.65, 0.98))
    cover = drawing.polygon(size_px, pose.place(drawing.box(1.0, half, rng.uniform(0, 0.12))))
    canvas.paint(cover, canvas.material(stock, 0.015), 0.8, shadow=True)
    ink = noise.colour(rng, (0, 0.9), (0.0, 0.5))
    if rng.random() < 0.5:
        outer, inner = drawing.box(0.92, half - 0.08), drawing.box(0.89, half - 0.11)
        canvas.paint(drawing.polygon(size_px, pose.place(outer), pose.place(inner)), ink)
    upper = pose.moved(0.0, -half * 0.4)
    canvas.paint(lettering(rng, upper, size_px, 0.7, half * 0.38), ink)
    if rng.random() < 0.7:
        edges = np.cumsum(rng.choice([0.015, 0.03, 0.045], 44)) - 0.65
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            if right < 0.8:
                bar = drawing.shift(
                    drawing.box((right - left) / 2, half * 0.25), (left + right) / 2, half * 0.5
                )
                canvas.paint(drawing.polygon(size_px, pose.place(bar)), ink)
    return canvas.scene()


FAMILIES = (
    Family("bottle_cap", "bottle cap", "object", bottle_cap),
    Family("tablet", "tablet", "object", tablet),
    Family("capsule", "capsule", "object", capsule),
    Family("bottle", "bottle", "object", bottle),
    Family("button", "button", "object", button),
    Family("cookie", "cookie", "object", cookie, has_parts=True),
    Family("zipper", "zipper", "object", zipper, has_parts=True),
    Family("label", "printed label", "object", label),
)
