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
    assert recognise(encode(PICTURE, kind)) is kind


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
        (b"\0" * 128 + b"DICM", "DICOM"),
    ],
)
def test_known_but_refused_formats_are_named(data: bytes, name: str) -> None:
    """The caller learns what was sent."""
    assert is_image(data)
    with pytest.raises(FormatRefusedError, match=name):
        recognise(data)


@pytest.mark.parametrize("data", [b"", b"\x89PN", b"hello", b"{}", b"RIFF1234WAVE", b"\xff\xd8"])
def test_anything_else_is_no_image(data: bytes) -> None:
    """Nothing is guessed from a fragment."""
    assert not is_image(data)
    with pytest.raises(ImageUnrecognisedError):
        recognise(data)
