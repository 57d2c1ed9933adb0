"""Images as training and evaluation read them against the same files as the service decodes them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from app.engine.decode import decode
from app.errors import RequestError
from model.data.pixels import read_image
from model.data.row import DataLayoutError
from tests.fakes import encode

PHOTOMETRIC, ORIENTATION, SAMPLE_FORMAT = 262, 274, 339
LIMIT = 1_000_000
COLOUR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]
DEEP = np.array([[0, 1000, 40_000, 65_535]], dtype=np.uint16)
BITS32 = np.array([[-5, 0, 70_000]], dtype=np.int32)
FLOATS = np.array([[-1.0, 0.1, 7.0]], dtype=np.float32)
ALPHA = Image.fromarray(COLOUR[..., 1])


def _tiff(pixels: NDArray[np.generic], photometric: int = 1, kind: int | None = None) -> bytes:
    tags = ImageFileDirectory_v2()
    tags[PHOTOMETRIC] = photometric
    if kind is not None:
        tags[SAMPLE_FORMAT] = kind
    return encode(Image.fromarray(pixels), "TIFF", tiffinfo=tags)


def _tag(number: int, value: int) -> bytes:
    return struct.pack("<HHII", number, 3, 1, value)


def _with_alpha(mode: str) -> bytes:
    image = Image.fromarray(COLOUR).convert(mode)
    image.putalpha(ALPHA)
    return encode(image)


def _turned(encoding: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encode(COLOUR, encoding, exif=exif.tobytes())


REFUSED = ("not a number", "infinite", "wider than float32", "8-bit signed", "32-bit unsigned")
FILES = {
    "RGB": encode(COLOUR),
    "RGB WebP": encode(COLOUR, "WEBP"),
    "palette with transparency": encode(Image.fromarray(COLOUR).quantize(16), transparency=3),
    "LA": _with_alpha("L"),
    "RGBA": _with_alpha("RGB"),
    "CMYK JPEG": encode(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    "turned PNG": _turned("PNG"),
    "turned JPEG": _turned("JPEG"),
    "1-bit": encode(Image.fromarray(GREY > 99)),
    "8-bit grey": encode(Image.fromarray(GREY)),
    "8-bit TIFF whose zero is white": _tiff(GREY, 0),
    "16-bit PNG": encode(Image.fromarray(DEEP)),
    "16-bit TIFF": _tiff(DEEP),
    "16-bit TIFF whose zero is white": _tiff(DEEP, 0),
    "16-bit, constant": _tiff(np.full_like(DEEP, 9)),
    "float": _tiff(FLOATS),
    "float whose zero is white": _tiff(FLOATS, 0),
    "not a number": _tiff(np.array([[0.0, 1.0, np.nan]], dtype=np.float32)),
    "infinite": _tiff(np.array([[0.0, 1.0, np.inf]], dtype=np.float32)),
    "wider than float32": _tiff(np.array([[-3e38, 3e38]], dtype=np.float32)),
    "8-bit signed": _tiff(GREY, kind=2),
    "32-bit signed": _tiff(BITS32),
    "32-bit unsigned": _tiff(BITS32).replace(_tag(SAMPLE_FORMAT, 2), _tag(SAMPLE_FORMAT, 1)),
    "transparent all over": encode(Image.new("RGBA", (4, 4))),
    "cut short": encode(COLOUR, "BMP")[:-9],
}


@pytest.mark.parametrize("name", FILES)
def test_training_sees_the_pixels_that_the_service_inspects(name: str, tmp_path: Path) -> None:
    """Two readers, since neither side may import the other: the same pixels, or both refuse."""
    path = tmp_path / "image"
    path.write_bytes(FILES[name])
    try:
        expected = decode(FILES[name], LIMIT)
    except RequestError:
        with pytest.raises(DataLayoutError, match=str(path)):
            read_image(path)
    else:
        np.testing.assert_array_equal(read_image(path), expected)


def test_the_files_differ_where_they_should() -> None:
    """White-is-zero reached the file, and what is to be refused is."""
    np.testing.assert_array_equal(
        decode(FILES["16-bit TIFF"], LIMIT),
        255 - decode(FILES["16-bit TIFF whose zero is white"], LIMIT),
    )
    for name in (*REFUSED, "transparent all over", "cut short"):
        with pytest.raises(RequestError):
            decode(FILES[name], LIMIT)
