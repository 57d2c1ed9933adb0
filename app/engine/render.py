"""The anomaly map as a picture a person understands at a glance.

Knows pixels, colours and encoders; knows no verdict.
"""

from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.engine.geometry import Box, Size
from app.engine.png import encode_png
from app.errors import ParameterError


class HeatmapKind(StrEnum):
    """What the heat map shows."""

    OVERLAY = "overlay"
    MAP = "map"
    MASK = "mask"
    NONE = "none"


class HeatmapFormat(StrEnum):
    """How the heat map is encoded."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True)
class HeatmapOptions:
    """Which heat map a caller wants.

    Attributes:
        kind: what it shows.
        format: how it is encoded.
        size_px: longest side; None keeps the sent image's. A heat map is never larger than the sent image.
    """

    kind: HeatmapKind = HeatmapKind.OVERLAY
    format: HeatmapFormat = HeatmapFormat.PNG
    size_px: int | None = 512


@dataclass(frozen=True)
class Heatmap:
    """An encoded heat map."""

    kind: HeatmapKind
    media_type: str
    size: Size
    data: bytes


_ENCODERS: MappingProxyType[HeatmapFormat, dict[str, Any]] = MappingProxyType(
    {
        HeatmapFormat.JPEG: {"quality": 90},
        HeatmapFormat.WEBP: {"quality": 85, "method": 2},
    }
)
_LONGEST_SIDE_PX = MappingProxyType(
    {HeatmapFormat.PNG: 2**31 - 1, HeatmapFormat.JPEG: 65_500, HeatmapFormat.WEBP: 16_383}
)

# Tint from normal over the threshold to twice the threshold: blue, yellow, red.
_STOPS = (0.0, 0.5, 1.0)
_RED, _GREEN, _BLUE = (0, 255, 255), (80, 220, 0), (255, 0, 0)
_MAX_OPACITY = 0.65


def heatmap_size(image: Size, options: HeatmapOptions) -> Size:
    """Return the size of the heat map of an image.

    Raises:
        ParameterError: the encoder cannot hold a picture of that size.
    """
    longest = max(image.width, image.height)
    side = longest if options.size_px is None else min(options.size_px, longest)
    if side > _LONGEST_SIDE_PX[options.format]:
        raise ParameterError(
            f"heatmap_size: {options.format} cannot hold {side} px; choose png or a smaller size"
        )
    return Size(
        max(1, round(image.width * side / longest)), max(1, round(image.height * side / longest))
    )


def shrink(image: NDArray[np.uint8], size: Size) -> Image.Image:
    """Return the picture at the heat map's size, so that the full one need not be kept while it waits."""
    picture = Image.fromarray(image)
    return picture.resize((size.width, size.height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def render(
    anomaly_map: NDArray[np.float32],
    map_threshold: float,
    size: Size,
    area: Box,
    options: HeatmapOptions,
    picture: Image.Image | None,
) -> Heatmap | None:
    """Draw and encode the heat map a caller asked for.

    Args:
        anomaly_map: `[H, W]` in [0, 1], covering the inspected area.
        map_threshold: map value from which a pixel counts as anomalous.
        size: what `heatmap_size` returned.
        area: what was inspected, in pixels of the heat map; outside of it the map is 0.
        options: kind and format.
        picture: what `shrink` returned; needed for an overlay only.

    Returns:
        The heat map, or None where none is wanted.
    """
    if options.kind is HeatmapKind.NONE:
        return None
    values = _placed(anomaly_map, size, area)
    if options.kind is HeatmapKind.MAP:
        drawn = _grey(values)
    elif options.kind is HeatmapKind.MASK:
        drawn = Image.fromarray(np.where(values >= map_threshold, 255, 0).astype(np.uint8))
    else:
        assert picture is not None  # noqa: S101
        drawn = _overlay(values, map_threshold, picture)
    return Heatmap(options.kind, f"image/{options.format}", size, _encoded(drawn, options.format))


def _placed(anomaly_map: NDArray[np.float32], size: Size, area: Box) -> NDArray[np.float32]:
    resized = Image.fromarray(anomaly_map).resize(
        (area.width, area.height), Image.Resampling.BILINEAR
    )
    values = np.zeros((size.height, size.width), dtype=np.float32)
    values[area.y : area.y + area.height, area.x : area.x + area.width] = np.asarray(resized)
    return values


def _grey(values: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8))


def _overlay(
    values: NDArray[np.float32], map_threshold: float, picture: Image.Image
) -> Image.Image:
    """Tint the picture; colour and opacity grow with the map on an absolute scale, never with its own peak."""
    intensity = _grey(values / max(2 * map_threshold, 1e-6))
    tint = intensity.copy()
    tint.putpalette(_palette())
    opacity = intensity.point([round(_MAX_OPACITY * level) for level in range(256)])
    return Image.composite(tint.convert("RGB"), picture, opacity)


def _palette() -> bytes:
    levels = np.linspace(0, 1, 256)
    colours = [np.interp(levels, _STOPS, channel) for channel in (_RED, _GREEN, _BLUE)]
    return np.stack(colours, axis=1).astype(np.uint8).tobytes()  # [256, 3]


def _encoded(picture: Image.Image, encoding: HeatmapFormat) -> bytes:
    if encoding is HeatmapFormat.PNG:
        return encode_png(np.asarray(picture))
    buffer = BytesIO()
    picture.save(buffer, format=encoding, **_ENCODERS[encoding])
    return buffer.getvalue()
