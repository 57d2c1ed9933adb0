"""Metal parts on a background. Knows how a normal one looks, nothing of defects or cameras."""

import math

import numpy as np

from model.data.procedural import drawing, noise
from model.data.procedural.drawing import Pose
from model.data.procedural.objects_canvas import Canvas, cylinder, dome, draw_pose, ring
from model.data.procedural.scene import Family, Scene
from model.data.procedural.textures_metal import metal_colour


def _metal(canvas: Canvas) -> noise.Rgb:
    return noise.vary(canvas.rng, metal_colour(canvas.rng), 0.05)


def washer(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a flat or toothed washer."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    outline = drawing.circle(96)
    if rng.random() < 0.3:
        outline = (
            outline * (1 + 0.06 * np.sign(np.sin(np.arange(96) * math.pi / 4)))[:, None] / 1.06
        )
    inner = pose.place(drawing.circle(64, rng.uniform(0.3, 0.7)))
    cover = drawing.polygon(size_px, pose.place(outline), inner)
    bevel = size_px * rng.uniform(0.004, 0.02)
    canvas.paint(
        cover, canvas.material(_metal(canvas), 0.04, brushed=rng.random() < 0.6), bevel, shadow=True
    )
    return canvas.scene()


def hex_nut(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a hexagon nut from above with chamfer and thread."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    material = canvas.material(_metal(canvas), 0.04, brushed=rng.random() < 0.4)
    hexagon = drawing.polygon(size_px, pose.place(drawing.regular(6)))
    canvas.paint(hexagon, material, size_px * 0.015, shadow=True)
    face = drawing.polygon(size_px, pose.place(drawing.circle(64, 0.86)))
    canvas.paint(face * hexagon, material * np.float32(rng.uniform(0.95, 1.15)), size_px * 0.006)
    hole = rng.uniform(0.42, 0.58)
    for step in range(3):
        tone = np.float32(0.75 if step % 2 else 0.45)
        canvas.paint(ring(pose, size_px, hole + 0.08 - 0.03 * step, hole - 0.05), material * tone)
    canvas.pierce(drawing.polygon(size_px, pose.place(drawing.circle(64, hole))))
    return canvas.scene()


def bolt_head(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a screw head from above with slot, cross, hexagon or star socket."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    material = canvas.material(_metal(canvas), 0.04, brushed=rng.random() < 0.4)
    head = drawing.polygon(
        size_px, pose.place(drawing.circle(96) if rng.random() < 0.7 else drawing.regular(6))
    )
    canvas.paint(head, material, size_px * rng.uniform(0.01, 0.03), shadow=True)
    if rng.random() < 0.6:
        canvas.shade(dome(pose, size_px, canvas.light_rad, rng.uniform(0, 0.4)), head)
    style, wide = rng.integers(4), rng.uniform(0.1, 0.18)
    if style <= 1:
        shape = drawing.polygon(size_px, pose.place(drawing.box(rng.uniform(0.5, 1.0), wide)))
        if style == 1:
            shape = (
                np.maximum(shape, drawing.polygon(size_px, pose.place(drawing.box(wide, 0.55))))
                * head
            )
    else:
        t = np.linspace(0, 2 * math.pi, 72, endpoint=False)
        r = 0.45 + 0.08 * np.cos(6 * t) if style == 2 else np.full(72, 0.5)
        star = np.stack([r * np.cos(t), r * np.sin(t)], 1)
        shape = drawing.polygon(
            size_px, pose.place(star if style == 2 else drawing.regular(6, 0.5))
        )
    canvas.paint(
        shape * head, material * np.float32(rng.uniform(0.2, 0.5)), size_px * 0.01, depth=-1.0
    )
    return canvas.scene()


def screw(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a screw from the side: head, shank, thread, tip."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    width, head = rng.uniform(0.11, 0.22), rng.uniform(0.26, 0.4)
    tip = rng.uniform(0.05, 0.3)
    material = canvas.material(_metal(canvas), 0.03)
    pitch, start = rng.uniform(0.06, 0.14), rng.uniform(-0.5, 0.1)
    x = np.arange(start, 1.0 - tip, pitch / 8)
    lift = 1 + 0.18 * np.sin(2 * math.pi * x / pitch)
    slant = pitch / 2
    top = np.stack([x, -width * lift], 1)
    bottom = np.stack([x + slant, width * lift], 1)[::-1]
    body = np.concatenate([[[-0.7, -width]], top, [[1.0, 0.0]], bottom, [[-0.7, width]]])
    cover = drawing.polygon(size_px, pose.place(body))
    canvas.paint(cover, material, size_px * 0.006, shadow=True)
    u, v = pose.local(size_px)
    ridge = np.sin(
        (u - slant * (v + width) / (2 * width) - start) * np.float32(2 * math.pi / pitch)
    )
    thread = noise.smoothstep(u, start - 0.02, start)
    canvas.shade(np.asarray(1 + 0.35 * ridge, "f4"), cover * thread)
    canvas.shade(cylinder(pose, size_px, width * 1.2, rng.uniform(0, 0.5)), cover)
    cap = np.array([[-0.7, -width], [-0.75, -head], [-1.0, -head * rng.uniform(0.6, 1)]])
    outline = np.concatenate([cap, (cap * (1, -1))[::-1]])
    top_cover = drawing.polygon(size_px, pose.place(outline))
    canvas.paint(top_cover, material, size_px * 0.01, shadow=False)
    canvas.shade(cylinder(pose, size_px, head * 1.1, 0.2), top_cover)
    return canvas.scene()


def gear(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a spur gear with bore, and sometimes spokes or lightening holes."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    teeth = int(rng.integers(9, 37))
    t = np.linspace(0, 2 * math.pi, teeth * 12, endpoint=False)
    depth = min(0.22, 2.4 / teeth)
    r = 1 - depth * (0.5 - 0.5 * np.tanh(rng.uniform(1.5, 4) * np.cos(teeth * t)))
    outline = np.stack([r * np.cos(t), r * np.sin(t)], 1)
    plastic = rng.random() < 0.3
    rgb = noise.colour(rng, (0, 0.8), (0.1, 0.9)) if plastic else _metal(canvas)
    material = canvas.material(rgb, 0.03, brushed=not plastic and rng.random() < 0.5)
    canvas.paint(
        drawing.polygon(size_px, pose.place(outline)), material, size_px * 0.01, shadow=True
    )
    inner, bore = rng.uniform(0.6, 0.72), rng.uniform(0.12, 0.26)
    if rng.random() < 0.6:
        web = ring(pose, size_px, inner, bore + 0.1)
        canvas.paint(web, material * np.float32(rng.uniform(0.6, 0.9)), size_px * 0.01, depth=-1.0)
    if rng.random() < 0.5:
        count = int(rng.integers(3, 8))
        hole = min((inner - bore) * 0.28, 0.8 * math.sin(math.pi / count) * (inner + bore) / 2)
        for centre in drawing.circle(count, (inner + bore + 0.08) / 2):
            canvas.pierce(drawing.polygon(size_px, pose.place(drawing.circle(32, hole) + centre)))
    canvas.pierce(drawing.polygon(size_px, pose.place(drawing.circle(48, bore))))
    return canvas.scene()


def spring(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a coil spring from the side."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    coils, half = int(rng.integers(6, 16)), rng.uniform(0.2, 0.42)
    pitch = 1.9 / coils
    wire = max(1.5, pose.radius_px * pitch * rng.uniform(0.3, 0.62))
    rgb = _metal(canvas)
    back = np.zeros((size_px, size_px), np.float32)
    front = np.zeros((size_px, size_px), np.float32)
    for k in range(coils):
        x = -0.95 + (k + 0.5) * pitch
        t = np.linspace(-math.pi / 2, math.pi / 2, 12)
        wave = np.stack([x + pitch / 4 * np.sin(t), half * np.sin(t)], 1)
        front = np.maximum(front, drawing.stroke(size_px, pose.place(wave), wire))
        back_wave = np.stack([x + pitch / 2 - pitch / 4 * np.sin(t), half * np.sin(t)], 1)
        if k < coils - 1:
            back = np.maximum(back, drawing.stroke(size_px, pose.place(back_wave), wire))
    canvas.paint(back, rgb * np.float32(0.5), wire / 3, shadow=True)
    canvas.paint(front, rgb, wire / 3, 1.4, shadow=True)
    canvas.shade(cylinder(pose, size_px, half * 1.15, rng.uniform(0, 0.6)), front)
    return canvas.scene()


def bracket(rng: np.random.Generator, size_px: int) -> Scene:
    """Render a flat plate or angle with drilled holes and rivets."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px, 1.1)
    if rng.random() < 0.4:
        width = rng.uniform(0.35, 0.6)
        x, y = -1 + width, -0.9 + width
        outline = np.array([[-1, -0.9], [1, -0.9], [1, y], [x, y], [x, 0.9], [-1, 0.9]])
        mid_x, mid_y = x - width / 2, y - width / 2
        places = [(mid_x, 0.6), (mid_x, 0.1), (-0.25, mid_y), (0.3, mid_y), (0.75, mid_y)]
    else:
        half = rng.uniform(0.3, 0.75)
        width = 2 * half
        outline = drawing.box(1.0, half, rng.uniform(0, 0.2))
        columns = np.linspace(-0.75, 0.75, int(rng.integers(3, 6)))
        places = [(float(x), y) for x in columns for y in (-half / 2, half / 2)]
    spots = np.array(places)
    rgb = _metal(canvas) if rng.random() < 0.7 else noise.colour(rng, (0.1, 0.8), (0.1, 0.8))
    material = canvas.material(rgb, 0.04, brushed=rng.random() < 0.6)
    canvas.paint(
        drawing.polygon(size_px, pose.place(outline)), material, size_px * 0.008, shadow=True
    )
    radius = rng.uniform(0.12, 0.24) * min(width, 0.7)
    holes = rng.random(len(spots)) < 0.5
    holes[0] = False
    for spot in spots[holes]:
        canvas.pierce(drawing.polygon(size_px, pose.place(drawing.circle(32, radius) + spot)))
    rivets = [
        drawing.polygon(size_px, pose.place(drawing.circle(32, radius) + s)) for s in spots[~holes]
    ]
    canvas.mount(rivets, noise.vary(rng, rgb, 0.15), size_px * 0.01)
    return canvas.scene()


def bearing(rng: np.random.Generator, size_px: int) -> Scene:
    """Render an open ball bearing."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    material = canvas.material(_metal(canvas), 0.03, brushed=rng.random() < 0.5)
    bore = rng.uniform(0.3, 0.45)
    mid, gap = (1 + bore) / 2, (1 - bore) * 0.24
    canvas.paint(ring(pose, size_px, 1.0, bore), material, size_px * 0.01, shadow=True)
    canvas.paint(
        ring(pose, size_px, mid + gap, mid - gap),
        material * np.float32(rng.uniform(0.15, 0.5)),
        size_px * 0.008,
        -1.0,
    )
    count = int(rng.integers(6, 1 + int(math.pi * mid / (gap * 1.05))))
    balls = [
        drawing.polygon(size_px, pose.place(drawing.circle(24, gap * 0.9) + centre))
        for centre in drawing.circle(count, mid)
    ]
    canvas.mount(balls, np.clip(_metal(canvas) * np.float32(1.2), 0, 1), size_px * gap * 0.12)
    return canvas.scene()


def ring_seal(rng: np.random.Generator, size_px: int) -> Scene:
    """Render an O-ring: a smooth rubber or metal torus."""
    canvas, pose = Canvas(rng, size_px), draw_pose(rng, size_px)
    width = rng.uniform(0.12, 0.35)
    rgb = noise.colour(rng, (0, 0.8), (0.04, 0.6)) if rng.random() < 0.7 else _metal(canvas)
    cover = ring(pose, size_px, 1.0, 1.0 - width)
    canvas.paint(cover, canvas.material(rgb, 0.05), pose.radius_px * width * 0.2, 1.2, shadow=True)
    u, v = Pose(pose.x, pose.y, pose.radius_px, 0).local(size_px)
    reach = (np.sqrt(u * u + v * v) - (1 - width / 2)) / (width / 2)
    gloss = np.exp(-(((reach - 0.2) / 0.25) ** 2)) * (
        1 + u * math.cos(canvas.light_rad) + v * math.sin(canvas.light_rad)
    )
    canvas.shade(np.asarray(1 + rng.uniform(0.05, 0.6) * gloss - 0.25 * reach**2, "f4"), cover)
    return canvas.scene()


FAMILIES = (
    Family("washer", "washer", "object", washer),
    Family("hex_nut", "hex nut", "object", hex_nut),
    Family("bolt_head", "bolt head", "object", bolt_head),
    Family("screw", "screw", "object", screw),
    Family("gear", "gear", "object", gear),
    Family("spring", "spring", "object", spring),
    Family("bracket", "metal bracket", "object", bracket, has_parts=True),
    Family("bearing", "ball bearing", "object", bearing, has_parts=True),
    Family("ring_seal", "o-ring", "object", ring_seal),
)
