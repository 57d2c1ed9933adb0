"""Encoded image to uint8 RGB, refusing what cannot be inspected as it was meant.

Knows Pillow and its traps; knows nothing of what is done with the pixels.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.engine.formats import ImageFormat, recognise
from app.errors import ImageAnimatedError, ImageCorruptError, ImageTooLargeError

# The plugins are called by name, not through Image.open: that would let the bytes choose among formats,
# read a JPEG's second picture (MPO), and judge sizes by a process-wide limit instead of ours.
_OPENERS: MappingProxyType[ImageFormat, Callable[[BytesIO], ImageFile]] = MappingProxyType(
    {
        ImageFormat.PNG: PngImageFile,
        ImageFormat.JPEG: JpegImageFile,
        ImageFormat.BMP: BmpImageFile,
        ImageFormat.TIFF: TiffImageFile,
        ImageFormat.WEBP: WebPImageFile,
    }
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

_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_FLAT_GREY = 128
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def decode(data: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image into upright RGB.

    EXIF rotation is applied, transparency is composited on white, and grey of more than 8 bits is scaled
    from its own darkest and brightest value to the full range.

    Args:
        data: PNG, JPEG, BMP, TIFF or WebP, whole.
        max_pixels: largest width times height, judged by the header before decoding.

    Returns:
        uint8 `[H, W, 3]`, contiguous and writable.

    Raises:
        RequestError: one of its `Image...Error` leaves or `FormatRefusedError`.
    """
    kind = recognise(data)
    with _corrupt_on_pillow_error(kind):
        if kind is ImageFormat.WEBP:  # Pillow's plugin allocates the canvas while opening
            _check_size(*_webp_size(data), max_pixels)
        with _OPENERS[kind](BytesIO(data)) as image:
            _check_size(*image.size, max_pixels)
            _check_single_frame(image)
            image.load()
            upright = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(upright))


@contextmanager
def _corrupt_on_pillow_error(kind: ImageFormat) -> Iterator[None]:
    try:
        yield
    except _PILLOW_ERRORS as error:
        raise ImageCorruptError(f"this {kind} file cannot be decoded") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLargeError(f"{width} x {height} pixels; at most {max_pixels} are accepted")
    if width < 1 or height < 1:
        raise ImageCorruptError("the image has no pixels")


def _check_single_frame(image: ImageFile) -> None:
    try:
        image.seek(1)  # counting all frames would walk a hostile TIFF's whole chain
    except EOFError:
        return
    raise ImageAnimatedError("send one still picture; animations and multi-page files are refused")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height from a WebP header (RFC 9649, section 2)."""
    chunk, body = data[12:16], data[20:]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_MODES:
        return Image.fromarray(_scale_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
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
