"""Image formats by their first bytes; the content type a caller sends is never asked.

Knows signatures only; decodes nothing.
"""

import re
from enum import StrEnum
from typing import TypeVar

from app.errors import FormatRefusedError, ImageUnrecognisedError

Name = TypeVar("Name", bound=str)


class ImageFormat(StrEnum):
    """The formats that are decoded."""

    PNG = "PNG"
    JPEG = "JPEG"
    BMP = "BMP"
    TIFF = "TIFF"
    WEBP = "WebP"


_SIGNATURES: tuple[tuple[ImageFormat, re.Pattern[bytes]], ...] = (
    (ImageFormat.PNG, re.compile(rb"\x89PNG\r\n\x1a\n")),
    (ImageFormat.JPEG, re.compile(rb"\xff\xd8\xff")),
    (ImageFormat.BMP, re.compile(rb"BM")),
    (ImageFormat.TIFF, re.compile(rb"II\*\0|MM\0\*")),
    (ImageFormat.WEBP, re.compile(rb"RIFF....WEBP", re.DOTALL)),
)

# Named in the answer, so that the caller learns what was sent instead of "not an image".
_REFUSED: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    # For files beyond 4 GiB; Pillow and libtiff read its big-endian form differently.
    ("BigTIFF", re.compile(rb"II\+\0|MM\0\+")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("PDF", re.compile(rb"%PDF-")),
    ("AVIF", re.compile(rb"....ftypavi[fs]", re.DOTALL)),
    ("HEIF", re.compile(rb"....ftyp(?:hei|hev|mif1|msf1)", re.DOTALL)),
    ("SVG", re.compile(rb"(?:\xef\xbb\xbf)?\s{0,256}(?:<\?xml[^>]{0,200}>\s{0,256})?<svg[\s>]")),
    ("ICO", re.compile(rb"\0\0[\1\2]\0")),
    ("PSD", re.compile(rb"8BPS")),
    ("JPEG 2000", re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51")),
    ("JPEG XL", re.compile(rb"\0\0\0\x0cJXL |\xff\x0a")),
    ("PNM", re.compile(rb"P[1-7]\s+(?:#|\d|WIDTH)")),
    ("OpenEXR", re.compile(rb"v/1\x01")),
    ("DDS", re.compile(rb"DDS \x7c\0\0\0")),
    ("DICOM", re.compile(rb".{128}DICM", re.DOTALL)),
    ("FITS", re.compile(rb"SIMPLE  =")),
    ("QOI", re.compile(rb"qoif")),
)

ACCEPTED = ", ".join(ImageFormat)


def is_image(data: bytes) -> bool:
    """Tell whether bytes begin like an image, accepted or not."""
    return _first_match(_SIGNATURES, data) is not None or _first_match(_REFUSED, data) is not None


def recognise(data: bytes) -> ImageFormat:
    """Return the format of an encoded image.

    Raises:
        FormatRefusedError: for a known format that is not accepted.
        ImageUnrecognisedError: for anything else.
    """
    if (accepted := _first_match(_SIGNATURES, data)) is not None:
        return accepted
    if (refused := _first_match(_REFUSED, data)) is not None:
        raise FormatRefusedError(f"{refused} is not accepted; send {ACCEPTED}")
    if not data:
        raise ImageUnrecognisedError("the picture is empty: it has 0 bytes")
    raise ImageUnrecognisedError(f"the first bytes are those of no image format; send {ACCEPTED}")


def _first_match(
    signatures: tuple[tuple[Name, re.Pattern[bytes]], ...], data: bytes
) -> Name | None:
    return next((name for name, pattern in signatures if pattern.match(data)), None)
