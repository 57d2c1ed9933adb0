"""Lettering and graphics printed on objects. Knows shapes, not products."""

import cv2
import numpy as np

from model.data.procedural.drawing import Pose
from model.data.procedural.scene import Field

_SIGNS = list("ABCDEFGHKLMNPRSTUVXYZ0123456789-/.")
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)


def lettering(
    rng: np.random.Generator, pose: Pose, size_px: int, half_width: float, half_height: float
) -> Field:
    """Cover one to three lines of random text in a box about the pose, `[H, W]`.

    Args:
        rng: source of randomness.
        pose: where the box lies and how it is turned.
        size_px: side of the picture.
        half_width: in units of the pose's radius.
        half_height: in units of the pose's radius.
    """
    lines, font = int(rng.integers(1, 4)), int(rng.choice(_FONTS))
    stamp = np.zeros((96, 192), np.uint8)
    high = 96 / lines
    for k in range(lines):
        text = "".join(rng.choice(_SIGNS, int(rng.integers(3, 9))))
        (width, height), _ = cv2.getTextSize(text, font, 1.0, 2)
        scale = min(180 / width, high * 0.65 / height)
        place = (round(6 + (180 - width * scale) / 2), round(high * (k + 0.8)))
        thickness = int(rng.integers(1, 4)) + 1
        cv2.putText(stamp, text, place, font, scale, 255, thickness, cv2.LINE_AA)
    corners = np.array(
        [[-half_width, -half_height], [half_width, -half_height], [-half_width, half_height]]
    )
    target = pose.place(corners).astype(np.float32)
    source = np.array([[0, 0], [192, 0], [0, 96]], np.float32)
    turned = cv2.warpAffine(
        stamp, cv2.getAffineTransform(source, target), (size_px, size_px), flags=cv2.INTER_AREA
    )
    return np.asarray(turned, np.float32) / np.float32(255)
