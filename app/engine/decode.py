"""Encoded image to uint8 RGB, refusing what cannot be inspected as it was meant.

Knows Pillow and its traps; knows nothing of what is done with the pixels.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ExifTags import Base as Tag
from PIL.ImageFile import ImageFile

from app.engine.formats import ImageFormat, recognise
from app.engine.geometry import Size
from app.engine.headers import shrinks, webp_size
from app.engine.plugins import depth_bits, is_inverted, is_misread, open_image
from app.errors import (
    FormatRefusedError,
    ImageAnimatedError,
    ImageCorruptError,
    ImageTooLargeError,
)

# What Pillow raises on malformed files, by reading its plugins and by fuzzing.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    LookupError,
    ArithmeticError,
    EOFError,
    NotImplementedError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# A resize by the shorter side needs memory by the longer: 1 x 4,000,000 pixels take gigabytes.
MAX_SIDE_PX = 32_768
_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_LYING = range(5, 9)  # EXIF orientations whose height is what the file calls width
_FLAT_GREY = 128
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def decode(data: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image into upright RGB, every pixel of it: `decode_reduced` without reduction."""
    return decode_reduced(data, max_pixels, lambda _: 1)[0]


def decode_reduced(
    data: bytes, max_pixels: int, reduction: Callable[[Size], int]
) -> tuple[NDArray[np.uint8], int]:
    """Decode an image into upright RGB, a JPEG smaller where not all of its pixels are needed.

    EXIF rotation is applied, transparency is composited on white, and grey of more than 8 bits is scaled
    from its own darkest and brightest value to the full range.

    Args:
        data: PNG, JPEG, BMP, TIFF or WebP, whole.
        max_pixels: largest width times height, judged like `MAX_SIDE_PX` by the header before decoding.
        reduction: asked for JPEG, with the upright size: by how much each side may shrink where libjpeg can
            do so, 1, 2, 4 or 8, a divisor of both. High frequencies of each block are then left out: in effect
            a mean over pixels, for a third of the time.

    Returns:
        uint8 `[H, W, 3]`, contiguous and writable, and by how much each side was shrunk.

    Raises:
        RequestError: one of its `Image...Error` leaves or `FormatRefusedError`; whatever `reduction` raises.
    """
    kind = recognise(data)
    with _corrupt_on_pillow_error(kind):
        if kind is ImageFormat.WEBP:  # Pillow's plugin allocates the canvas while opening
            _check_size(*webp_size(data), max_pixels)
        with open_image(data, kind) as image:
            _check_size(*image.size, max_pixels)
            _check_single_frame(image)
            _check_depth(image, data)
            inverted = is_inverted(image)
            by = reduction(_upright(image)) if kind is ImageFormat.JPEG else 1
            if by > 1 and not shrinks(data):  # looks through the whole file: not for nothing
                by = 1
            if by > 1:
                image.draft(None, (image.width // by, image.height // by))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return np.array(_to_rgb(image, inverted)), by


def _upright(image: ImageFile) -> Size:
    width, height = image.size
    lying = image.getexif().get(Tag.Orientation) in _LYING
    return Size(height, width) if lying else Size(width, height)


@contextmanager
def _corrupt_on_pillow_error(kind: ImageFormat) -> Iterator[None]:
    try:
        yield
    except _PILLOW_ERRORS as error:
        raise ImageCorruptError(f"this {kind} file cannot be decoded") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLargeError(f"{width} x {height} pixels; at most {max_pixels} are accepted")
    if max(width, height) > MAX_SIDE_PX:
        raise ImageTooLargeError(f"{width} x {height} pixels; a side may have {MAX_SIDE_PX}")
    if width < 1 or height < 1:
        raise ImageCorruptError("the image has no pixels")


def _check_single_frame(image: ImageFile) -> None:
    try:
        image.seek(1)  # counting all frames would walk a hostile TIFF's whole chain
    except EOFError:
        return
    raise ImageAnimatedError("send one still picture; animations and multi-page files are refused")


def _check_depth(image: ImageFile, data: bytes) -> None:
    """Refuse what Pillow would cut to each value's high byte: of 12-bit colour, 4 bits would be left.

    And what it would turn round: bright values would come out darker than black.
    """
    if is_misread(image):
        raise FormatRefusedError(
            "TIFF images with signed 8-bit or unsigned 32-bit values are not accepted; "
            "send unsigned 8-bit or 16-bit grey"
        )
    if image.mode not in _DEEP_MODES and (bits := depth_bits(image, data)) > 8:
        raise FormatRefusedError(
            f"{bits} bits per channel are accepted for plain grey only; send colour, and grey with "
            "transparency, with 8 bits per channel"
        )


def _to_rgb(image: Image.Image, inverted: bool) -> Image.Image:
    if image.mode in _DEEP_MODES:
        grey = _scale_to_8_bit(np.asarray(image))
        return Image.fromarray(255 - grey if inverted else grey).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        # A camera's fourth byte, saved as if it were alpha.
        if opaque.getchannel("A").getextrema()[1] == 0:
            raise FormatRefusedError(
                "every pixel is transparent; send the picture without an alpha channel"
            )
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Map an image's darkest value to 0 and its brightest to 255; a constant image becomes mid grey."""
    grey = values.astype(np.float32)
    low, high = float(grey.min()), float(grey.max())
    if not high - low < _FLOAT32_MAX:  # also true of NaN
        raise ImageCorruptError("the image holds values that are not numbers")
    if low == high:
        return np.full(grey.shape, _FLAT_GREY, dtype=np.uint8)
    grey -= low
    grey *= 255.0 / (high - low)
    return np.rint(grey, out=grey).astype(np.uint8)
