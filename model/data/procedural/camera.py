"""Light falloff, benign blemishes, lens and sensor. Knows images, nothing of products or defects.

A camera is drawn once and captures both twins, so that they share light, noise and compression.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data.procedural import drawing, noise
from model.data.procedural.scene import Field, Image

GREY_SHARE = 0.45


@dataclass(frozen=True, eq=False)
class Camera:
    """One set of conditions under which images are taken.

    Attributes:
        light: brightness factor, `[H, W]`.
        glare: light added by reflections, `[H, W]`.
        sensor_noise: added after the lens, `[H, W, 1 or 3]`.
        gains: white balance, `[3]`.
        grey_weights: weights of the channels in a grey image, None for colour.
        gamma: exponent of the tone curve.
        black: what a dark pixel reads.
        white: what a bright pixel reads.
        blur_px: sigma of the defocus.
        sharpen: amount of unsharp masking.
        jpeg_quality: None for no compression.
    """

    light: Field
    glare: Field
    sensor_noise: NDArray[np.float32]
    gains: NDArray[np.float32]
    grey_weights: NDArray[np.float32] | None
    gamma: float
    black: float
    white: float
    blur_px: float
    sharpen: float
    jpeg_quality: int | None

    def capture(self, image: Image) -> NDArray[np.uint8]:
        """Take the picture, uint8 RGB `[H, W, 3]`."""
        x = image * (self.light[..., None] * self.gains) + self.glare[..., None]
        if self.grey_weights is not None:
            x = (x @ self.grey_weights)[..., None]
        x = np.asarray(np.clip(x, 0.0, 1.0), np.float32)
        x = noise.smooth(x, self.blur_px).reshape(x.shape)
        if self.sharpen > 0:
            x = x + np.float32(self.sharpen) * (x - noise.smooth(x, 1.2).reshape(x.shape))
        x = np.asarray(cv2.pow(np.clip(x, 1e-4, 1.0), self.gamma), np.float32).reshape(x.shape)
        x = np.float32(self.black) + np.float32(self.white - self.black) * x
        x = x + self.sensor_noise * (np.float32(0.4) + np.float32(0.8) * x)
        out = np.clip(x * 255.0 + 0.5, 0, 255).astype(np.uint8)
        if self.jpeg_quality is not None:
            flags = [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality]
            coded = cv2.imencode(".jpg", out, flags)[1]
            out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), np.uint8)
            out = out.reshape(x.shape)
        if out.shape[2] == 1:
            return np.repeat(out, 3, axis=2)
        return np.ascontiguousarray(out)


def draw_camera(rng: np.random.Generator, image: Image) -> Camera:
    """Draw the conditions of one pair; exposure often follows the brightness of `image`."""
    size_px = image.shape[0]
    light = _light(rng, size_px)
    exposure = rng.uniform(0.8, 1.25)
    if rng.random() < 0.6:
        mean = max(0.03, float(image.mean()) * float(light.mean()))
        exposure = float(np.clip(rng.uniform(0.3, 0.65) / mean, 0.5, 3.0))
    grey = rng.random() < GREY_SHARE
    weights = rng.dirichlet((4.0, 5.0, 3.0)).astype(np.float32) if grey else None
    gains = (1 + rng.normal(0, 0.05, 3)).astype(np.float32)
    level = noise.log_uniform(rng, 0.003, 0.045)
    scale = size_px / 256
    return Camera(
        light=light,
        glare=_glare(rng, size_px),
        sensor_noise=_sensor_noise(rng, size_px, 1 if grey else 3) * np.float32(level),
        gains=gains * np.float32(exposure),
        grey_weights=weights,
        gamma=noise.log_uniform(rng, 0.65, 1.4),
        black=float(rng.uniform(0, 0.12)) if rng.random() < 0.5 else 0.0,
        white=float(rng.uniform(0.7, 1.0)) if rng.random() < 0.5 else 1.0,
        blur_px=float(rng.uniform(0.3, 1.4)) * scale if rng.random() < 0.5 else 0.0,
        sharpen=float(rng.uniform(0.2, 0.9)) if rng.random() < 0.2 else 0.0,
        jpeg_quality=int(rng.integers(60, 97)) if rng.random() < 0.5 else None,
    )


def _sensor_noise(rng: np.random.Generator, size_px: int, channels: int) -> NDArray[np.float32]:
    field = rng.standard_normal((size_px, size_px, channels), dtype=np.float32)
    if rng.random() < 0.3:
        # Demosaicing and denoising leave the noise correlated over neighbours.
        field = noise.smooth(field, 0.7).reshape(field.shape) * np.float32(1.8)
    return field


def _light(rng: np.random.Generator, size_px: int) -> Field:
    axis = np.linspace(-1, 1, size_px, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    t = rng.uniform(0, 2 * math.pi)
    slope = abs(rng.normal(0, 0.16))
    field = 1 + np.float32(slope) * (np.float32(math.cos(t)) * x + np.float32(math.sin(t)) * y)
    if rng.random() < 0.4:
        cx, cy = rng.normal(0, 0.3, 2).astype(np.float32)
        field = field * (1 - np.float32(rng.uniform(0.05, 0.4)) * ((x - cx) ** 2 + (y - cy) ** 2))
    if rng.random() < 0.3:
        field = field * (
            1 + np.float32(rng.uniform(0.03, 0.12)) * noise.fractal(rng, size_px, size_px / 2, 2)
        )
    if rng.random() < 0.12:
        field = field * _shadow(rng, size_px)
    return np.asarray(np.clip(field, 0.25, 1.8), np.float32)


def _shadow(rng: np.random.Generator, size_px: int) -> Field:
    """Return the soft shadow of something outside the picture: one straight blurred edge."""
    u, _ = drawing.Pose(
        size_px * rng.uniform(0.1, 0.9),
        size_px * rng.uniform(0.1, 0.9),
        size_px,
        rng.uniform(0, 6.3),
    ).local(size_px)
    width = rng.uniform(0.05, 0.3)
    return 1 - np.float32(rng.uniform(0.1, 0.35)) * noise.smoothstep(u, -width, width)


def _glare(rng: np.random.Generator, size_px: int) -> Field:
    if rng.random() > 0.2:
        return np.zeros((size_px, size_px), np.float32)
    x, y = size_px * rng.uniform(), size_px * rng.uniform()
    pose = drawing.Pose(x, y, size_px * rng.uniform(0.2, 0.6), rng.uniform(0, 6.3))
    u, v = pose.local(size_px)
    spread = noise.log_uniform(rng, 1, 8)
    spot = cv2.exp(-(u * u + np.float32(spread) * v * v))
    return np.asarray(spot, np.float32) * np.float32(rng.uniform(0.05, 0.3))


def add_blemishes(rng: np.random.Generator, image: Image, strength: float) -> Image:
    """Add harmless marks that are spread over the picture, slow, or regularly repeated."""
    size = image.shape[0]
    factor = np.ones((size, size), np.float32)
    for chance, blemish in _BLEMISHES:
        if rng.random() < chance:
            factor *= 1 + np.float32(strength * rng.uniform(0.3, 1.0)) * blemish(rng, size)
    toned = noise.lit(image, factor)
    if rng.random() < 0.25:
        veil = noise.smoothstep(
            noise.fractal(rng, size, size * rng.uniform(0.2, 0.8), 3), -0.5, 2.5
        )
        over = noise.colour(rng, (0.0, 0.5), (0.1, 0.9))
        toned = noise.blend(toned, over, veil * np.float32(strength * rng.uniform(0.1, 0.5)))
    return toned


def _stains(rng: np.random.Generator, size_px: int) -> Field:
    field = noise.fractal(rng, size_px, size_px * noise.log_uniform(rng, 0.06, 0.5), 4, 0.55)
    # A high edge over few large cells would leave a single blot, which is a defect.
    edge = rng.uniform(-0.5, 0.4)
    soft = noise.smoothstep(field, edge, edge + noise.log_uniform(rng, 0.15, 1.5))
    return soft * np.float32(rng.choice([-0.28, 0.2]))


def _streaks(rng: np.random.Generator, size_px: int) -> Field:
    across = size_px * noise.log_uniform(rng, 0.006, 0.1)
    along = across * noise.log_uniform(rng, 8, 60)
    field = noise.oriented(rng, size_px, noise.angle(rng), along, across)
    if rng.random() < 0.5:
        field = np.asarray(np.maximum(field - np.float32(0.8), 0) * rng.choice([-2.0, 2.0]), "f4")
    return np.float32(0.1) * field


def _dust(rng: np.random.Generator, size_px: int) -> Field:
    canvas = np.zeros((size_px, size_px), np.float32)
    count = int(noise.log_uniform(rng, 20, 400))
    x, y = rng.integers(0, size_px, (2, count))
    canvas[y, x] = rng.uniform(0.3, 1.0, count)
    sigma = size_px / 256 * rng.uniform(0.4, 1.1)
    spread = noise.smooth(canvas, max(sigma, 0.3))
    return spread * np.float32(rng.choice([-0.5, 0.5]) / max(float(spread.max()), 1e-3))


def _marks(rng: np.random.Generator, size_px: int) -> Field:
    """Parallel or concentric tool marks."""
    radius = size_px * noise.log_uniform(rng, 0.5, 30)
    t = rng.uniform(0, 2 * math.pi)
    pose = drawing.Pose(
        size_px / 2 + radius * math.cos(t), size_px / 2 + radius * math.sin(t), 1, 0
    )
    u, v = pose.local(size_px)
    pitch = size_px * noise.log_uniform(rng, 0.012, 0.08)
    phase = cv2.magnitude(u, v) * np.float32(2 * math.pi / pitch)
    phase += np.float32(rng.uniform(0, 1.5)) * noise.fractal(rng, size_px, size_px / 3, 2)
    return np.asarray(np.sin(phase), np.float32) * np.float32(0.12)


def _print(rng: np.random.Generator, size_px: int) -> Field:
    """A small sign repeated on a grid over the whole picture."""
    pitch = max(8, round(size_px * rng.uniform(0.08, 0.3)))
    stamp = np.zeros((pitch, pitch), np.uint8)
    text = "".join(rng.choice(list("ABEHKLMNORSTX02345789+-/"), int(rng.integers(1, 4))))
    place = (round(pitch * 0.1), round(pitch * 0.7))
    font_scale = pitch / 22 / max(1, len(text)) * 0.9
    cv2.putText(stamp, text, place, cv2.FONT_HERSHEY_SIMPLEX, font_scale, 255, 1, cv2.LINE_AA)
    turned = np.rot90(stamp, int(rng.integers(4)))
    repeats = size_px // pitch + 1
    tiled = np.tile(turned, (repeats, repeats))[:size_px, :size_px]
    sign = np.float32(rng.choice([-0.35, 0.35]) / 255)
    return tiled.astype(np.float32) * sign


def _mottle(rng: np.random.Generator, size_px: int) -> Field:
    return np.float32(0.08) * noise.fractal(rng, size_px, size_px * rng.uniform(0.02, 0.2), 3)


def _grit(rng: np.random.Generator, size_px: int) -> Field:
    return np.float32(0.07) * noise.grain(rng, size_px, size_px / 256 * rng.uniform(1, 3))


_BLEMISHES = (
    (0.3, _stains),
    (0.3, _streaks),
    (0.22, _dust),
    (0.12, _marks),
    (0.06, _print),
    (0.3, _mottle),
    (0.3, _grit),
)
