"""More than 8 bits a channel: grey is scaled by its real range, all else is refused, nothing is cut."""

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.engine.decode import decode
from app.errors import FormatRefusedError
from tests.costly import LONG, SHORT, TagValue, png, tiff
from tests.fakes import encode

LIMIT = 1_000_000
RAMP = np.linspace(0, 4095, 64).astype(np.uint16)[None, :].repeat(8, axis=0)  # a 12-bit camera's
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLES, STRIP = 258, 262, 277, 273


def _png16(colour: int, *channels: NDArray[np.uint16]) -> bytes:
    rows = np.stack(channels, axis=-1).astype(">u2")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png(rows.shape[1], rows.shape[0], 16, colour, (b"IDAT", data))


def _tiff16(photometric: int, samples: int, values: NDArray[np.uint16], order: str) -> bytes:
    height, width = values.shape[:2]
    mark = b"II*\0" if order == "<" else b"MM\0*"

    def short(value: int) -> int:
        return value if order == "<" else value << 16

    bits, start = 8, 8 + samples * 2
    tags: list[TagValue] = [(256, LONG, 1, width), (257, LONG, 1, height)]
    tags += [(BITS_PER_SAMPLE, SHORT, samples, bits if samples > 2 else short(16))]
    tags += [(259, SHORT, 1, short(1)), (PHOTOMETRIC, SHORT, 1, short(photometric))]
    tags += [(STRIP, LONG, 1, start + 2 + 12 * 9 + 4), (SAMPLES, SHORT, 1, short(samples))]
    tags += [(278, LONG, 1, height), (279, LONG, 1, values.nbytes)]
    entries = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    depth = struct.pack(f"{order}{samples}H", *[16] * samples)
    head = mark + struct.pack(f"{order}I", start) + depth
    count = struct.pack(f"{order}H", len(tags))
    return head + count + entries + bytes(4) + values.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_png16(2, RAMP, RAMP, RAMP), id="RGB PNG"),
        pytest.param(_png16(6, RAMP, RAMP, RAMP, RAMP), id="RGBA PNG"),
        pytest.param(_png16(4, RAMP, np.full_like(RAMP, 65_535)), id="grey and alpha PNG"),
        pytest.param(_tiff16(2, 3, np.stack([RAMP] * 3, axis=-1), "<"), id="RGB TIFF, Intel"),
        pytest.param(_tiff16(2, 3, np.stack([RAMP] * 3, axis=-1), ">"), id="RGB TIFF, Motorola"),
        pytest.param(_tiff16(5, 4, np.stack([RAMP] * 4, axis=-1), "<"), id="CMYK TIFF"),
    ],
)
def test_16_bit_colour_is_refused(data: bytes) -> None:
    """Its high bytes alone would show a 12-bit camera's part nearly black, and a verdict would be given."""
    with pytest.raises(FormatRefusedError, match="16 bits per channel are accepted for plain grey"):
        decode(data, LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_png16(0, RAMP), id="PNG"),
        pytest.param(_tiff16(1, 1, RAMP, "<"), id="TIFF, Intel"),
        pytest.param(_tiff16(1, 1, RAMP, ">"), id="TIFF, Motorola"),
    ],
)
def test_16_bit_grey_fills_the_range(data: bytes) -> None:
    """Twelve bits are the sixteenth part of sixteen."""
    found = decode(data, LIMIT)[..., 0]
    np.testing.assert_array_equal(found, np.rint(RAMP * (255 / 4095)))


def test_16_bit_grey_whose_zero_is_white_is_inverted() -> None:
    """Pillow inverts up to 8 bits only."""
    found = decode(_tiff16(0, 1, RAMP, "<"), LIMIT)[..., 0]
    np.testing.assert_array_equal(found, 255 - np.rint(RAMP * (255 / 4095)))


def test_8_bit_grey_whose_zero_is_white_is_inverted() -> None:
    """As Pillow writes and reads it."""
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    data = bytearray(encode(Image.fromarray(grey), "TIFF"))
    black_is_zero = struct.pack("<HHII", PHOTOMETRIC, SHORT, 1, 1)
    assert black_is_zero in data
    data = data.replace(black_is_zero, struct.pack("<HHII", PHOTOMETRIC, SHORT, 1, 0))
    np.testing.assert_array_equal(decode(bytes(data), LIMIT)[..., 0], 255 - grey)


def _grey_tiff(bits: int, kind: int | None, values: bytes) -> bytes:
    """Return a TIFF of one row whose values are of a kind: 1 unsigned, 2 signed, 3 float; None does not say."""
    tags = [(256, 8 * len(values) // bits), (257, 1), (BITS_PER_SAMPLE, bits), (259, 1)]
    tags += [(PHOTOMETRIC, 1), (STRIP, 8 + 2 + 12 * (9 + (kind is not None)) + 4), (SAMPLES, 1)]
    tags += [(278, 1), (279, len(values))] + ([] if kind is None else [(339, kind)])
    entries = b"".join(struct.pack("<HHII", number, LONG, 1, value) for number, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + bytes(4) + values


@pytest.mark.parametrize(
    ("kind", "dtype"), [(1, "<u4"), (None, "<u4"), (2, "i1")], ids=["uint32", "32 bits", "int8"]
)
def test_values_that_would_wrap_around_are_refused(kind: int | None, dtype: str) -> None:
    """The brightest pixels would be the darkest, and a verdict would be given."""
    values = np.array([0, 1, np.iinfo(dtype).max], dtype)
    with pytest.raises(FormatRefusedError, match="unsigned 8-bit or 16-bit grey"):
        decode(_grey_tiff(8 * values.itemsize, kind, values.tobytes()), LIMIT)


@pytest.mark.parametrize(("kind", "dtype"), [(2, "<i4"), (2, "<i2"), (3, "<f4"), (1, "<u2")])
def test_values_that_do_not_wrap_around_are_scaled(kind: int, dtype: str) -> None:
    """Signed ones of 16 and 32 bits, and floats."""
    values = np.array([0, 100, 200], dtype)
    found = decode(_grey_tiff(8 * values.itemsize, kind, values.tobytes()), LIMIT)
    assert found[0, :, 0].tolist() == [0, 128, 255]


def test_colour_of_8_bits_passes() -> None:
    """Palettes of fewer bits too."""
    for depth, colour, length in ((8, 2, 12), (8, 6, 16), (8, 4, 8), (1, 0, 1)):
        rows = zlib.compress((b"\0" + b"\xff" * length) * 4)
        assert decode(png(4, 4, depth, colour, (b"IDAT", rows)), LIMIT).shape == (4, 4, 3)
    assert decode(tiff(9, 9), LIMIT).shape == (9, 9, 3)
