"""Formats by their first bytes."""

import numpy as np
import pytest

from app.engine.formats import ImageFormat, is_image, recognise
from app.errors import FormatRefusedError, ImageUnrecognisedError
from tests.fakes import encode

PICTURE = np.zeros((4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ImageFormat)
def test_accepted_formats_are_recognised(kind: ImageFormat) -> None:
    """By what Pillow writes."""
    data = encode(PICTURE, kind)
    assert recognise(data) is kind
    assert is_image(data)


def test_a_webp_of_any_length_is_recognised() -> None:
    """A byte of the length may be a newline."""
    assert recognise(b"RIFF\n\0\0\0WEBP") is ImageFormat.WEBP


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encode(PICTURE, "GIF"), "GIF"),
        (encode(PICTURE, "ICO"), "ICO"),
        (encode(PICTURE, "PPM"), "PNM"),
        (encode(PICTURE, "JPEG2000"), "JPEG 2000"),
        (encode(PICTURE, "DDS"), "DDS"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "SVG"),
        (b"\0\0\0\x20ftypheic\0\0\0\0", "HEIF"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "AVIF"),
        (b"\n" * 128 + b"DICM", "DICOM"),
        (b"GIF87a", "GIF"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
        (b"MM\0+\0\x08\0\0", "BigTIFF"),
        (b"\0\0\0\x20ftypavis\0\0\0\0", "AVIF"),
        (b"\0\0\0\x20ftyphevc\0\0\0\0", "HEIF"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0", "HEIF"),
        (b"\0\0\0\x20ftypmsf1\0\0\0\0", "HEIF"),
        (b"\xef\xbb\xbf\n<svg>", "SVG"),
        (b"\0\0\2\0", "ICO"),
        (b"8BPS\0\1", "PSD"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"P5\n# a camera's\n4 4\n255\n", "PNM"),
        (b"P7\nWIDTH 4\n", "PNM"),
        (b"v/1\x01", "OpenEXR"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"qoif", "QOI"),
    ],
)
def test_known_but_refused_formats_are_named(data: bytes, name: str) -> None:
    """The caller learns what was sent."""
    assert is_image(data)
    with pytest.raises(FormatRefusedError, match=f"^{name} is not accepted"):
        recognise(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PN", b"\x89PNG\n", b"hello", b"{}", b"RIFF1234WAVE", b"\xff\xd8", b"II", b" qoif"],
)
def test_anything_else_is_no_image(data: bytes) -> None:
    """Nothing is guessed from a fragment."""
    assert not is_image(data)
    with pytest.raises(ImageUnrecognisedError):
        recognise(data)


def test_an_empty_file_is_called_empty() -> None:
    """It has no first bytes to look at; a camera that wrote nothing is found sooner so."""
    with pytest.raises(ImageUnrecognisedError, match="0 bytes"):
        recognise(b"")
