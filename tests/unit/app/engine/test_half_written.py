"""Pictures that are read while they are still being written: which are refused, and which cannot be."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from app.engine.decode import decode
from app.engine.png import encode_png
from app.errors import ImageCorruptError
from tests.fakes import encode

LIMIT, BLOCK = 1_000_000, 4096
PICTURE = np.random.default_rng(0).integers(150, 250, (200, 250, 3), dtype=np.uint8)
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


def _blocks(data: bytes) -> list[int]:
    return list(range(BLOCK, len(data), BLOCK))


@pytest.mark.parametrize("encoding", FORMATS)
def test_a_file_that_is_cut_is_refused(encoding: str) -> None:
    """Its writer has not come to the end, and the file grows as it writes."""
    data = encode(PICTURE, encoding)
    for count in _blocks(data):
        with pytest.raises(ImageCorruptError):
            decode(data[:count], LIMIT)


def test_a_png_that_lacks_only_its_end_is_refused() -> None:
    """All pixels are there, but its writer was not done: a last chunk, or a part of it, is missing."""
    data = encode(PICTURE)
    for missing in (1, 4, 11, 12):
        with pytest.raises(ImageCorruptError):
            decode(data[:-missing], LIMIT)


@pytest.mark.parametrize("write", [encode, encode_png])
def test_a_png_whose_length_was_set_beforehand_is_refused(
    write: Callable[[NDArray[np.uint8]], bytes],
) -> None:
    """Its end is still zeros; Pillow would show it as pixels of one colour, and a bad part as good."""
    data = write(PICTURE[..., 0])
    assert decode(data, LIMIT).shape == PICTURE.shape
    for count in [*_blocks(data), len(data) - 16]:
        with pytest.raises(ImageCorruptError):
            decode(data[:count] + bytes(len(data) - count), LIMIT)


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_with_a_wrong_checksum_is_refused(chunk: bytes) -> None:
    """In the header, in the pixels, at the end."""
    data = bytearray(encode(PICTURE))
    start = data.index(chunk)
    (length,) = struct.unpack_from(">I", data, start - 4)
    data[start + 4 + length] ^= 1
    with pytest.raises(ImageCorruptError, match="checksum"):
        decode(bytes(data), LIMIT)


def test_what_follows_a_png_is_not_checked() -> None:
    """A signature, a note: the picture is whole."""
    data = encode(PICTURE) + b"\0\0\0\x04note" + struct.pack(">I", ~zlib.crc32(b"note") % 2**32)
    np.testing.assert_array_equal(decode(data, LIMIT), PICTURE)


@pytest.mark.parametrize("encoding", ["BMP", "TIFF", "WEBP"])
def test_formats_without_checksums_cannot_tell(encoding: str) -> None:
    """What the guide says: the missing part of such a file is a picture too."""
    data = encode(PICTURE, encoding)
    half = len(data) // 2
    assert decode(data[:half] + bytes(len(data) - half), LIMIT).shape == PICTURE.shape
