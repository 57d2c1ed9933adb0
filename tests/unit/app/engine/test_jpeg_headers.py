"""Scans and segments of JPEG files: what costs is refused, what cameras write passes."""

import struct

import numpy as np
import pytest
from PIL import ExifTags, Image

from app.engine.decode import decode
from app.engine.headers import MAX_SCANS, shrinks
from app.errors import ImageCorruptError
from tests.costly import jpeg_of_scans
from tests.fakes import encode

LIMIT = 64_000_000
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_scans_up_to_the_limit_pass() -> None:
    """A progressive JPEG has about ten."""
    assert decode(jpeg_of_scans(MAX_SCANS), LIMIT).shape == (64, 64, 3)
    with pytest.raises(ImageCorruptError, match="scans"):
        decode(jpeg_of_scans(MAX_SCANS + 1), LIMIT)


def test_what_follows_the_picture_is_nobodys_scans() -> None:
    """Phones append a film, cameras their raw data: random bytes hold a scan's mark every 64 KiB."""
    jpeg = encode(PICTURE, "JPEG")
    assert decode(jpeg + b"\xff\xda\0\2" * (MAX_SCANS + 1), LIMIT).shape == PICTURE.shape
    with pytest.raises(ImageCorruptError, match="scans"):
        decode(jpeg_of_scans(MAX_SCANS + 1) + jpeg, LIMIT)


def test_scans_behind_a_false_end_are_counted() -> None:
    """A note between two scans may hold the mark of the end; decoders read on behind it."""
    scans = jpeg_of_scans(MAX_SCANS + 1)
    second = scans.index(b"\xff\xda", scans.index(b"\xff\xda") + 2)
    note = b"\xff\xfe\x00\x04\xff\xd9"
    with pytest.raises(ImageCorruptError, match="scans"):
        decode(scans[:second] + note + scans[second:], LIMIT)


def test_scans_behind_padding_are_counted() -> None:
    """Any number of bytes may fill the place before a mark."""
    scans = jpeg_of_scans(MAX_SCANS + 1).replace(b"\xff\xda", b"\xff\xff\xda")
    with pytest.raises(ImageCorruptError, match="scans"):
        decode(scans, LIMIT)


def _segments(jpeg: bytes, kind: int, contents: list[bytes]) -> bytes:
    written = [struct.pack(">BBH", 0xFF, kind, 2 + len(c)) + c for c in contents]
    return jpeg[:20] + b"".join(written) + jpeg[20:]  # after JFIF


@pytest.mark.parametrize("kind", [*range(0xE1, 0xF0), 0xFE])
def test_a_jpeg_with_any_application_s_notes_passes(kind: int) -> None:
    """Hundreds of segments: a colour profile or a depth map takes one for each 64 KB."""
    jpeg = encode(PICTURE, "JPEG")
    found = decode(_segments(jpeg, kind, [b"note"] * 500), LIMIT)
    np.testing.assert_array_equal(found, decode(jpeg, LIMIT))


def test_a_thousand_segments_before_the_picture_pass() -> None:
    """Nine of 1024 are the picture's own."""
    jpeg = encode(PICTURE, "JPEG")
    assert decode(_segments(jpeg, 0xFE, [b"note"] * 1015), LIMIT).shape == PICTURE.shape
    with pytest.raises(ImageCorruptError, match="too much before it"):
        decode(_segments(jpeg, 0xFE, [b"note"] * 1016), LIMIT)


@pytest.mark.parametrize("kind", sorted({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}))
def test_only_frames_with_cosine_transform_shrink(kind: int) -> None:
    """Every fourth kind is lossless (ITU T.81, table B.1): Pillow would write it beyond its memory."""
    assert shrinks(encode(PICTURE, "JPEG") + bytes((0xFF, kind))) is (kind % 4 != 3)


def test_exif_in_up_to_16_segments_passes() -> None:
    """A camera's preview may not fit into one."""
    jpeg, rest = encode(PICTURE, "JPEG"), b"Exif\0\0" + bytes(9)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    first = exif.tobytes()
    found = decode(_segments(jpeg, 0xE1, [first] + 15 * [rest]), LIMIT)
    np.testing.assert_array_equal(found, np.rot90(decode(jpeg, LIMIT), -1))
    with pytest.raises(ImageCorruptError, match="too much before it"):
        decode(_segments(jpeg, 0xE1, [first] + 16 * [rest]), LIMIT)


def test_restart_marks_and_noise_are_no_scans() -> None:
    """Coded data never hold the mark of a scan."""
    noise = np.random.default_rng(1).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    data = encode(noise, "JPEG", quality=98, restart_marker_blocks=1)
    assert data.count(b"\xff\xd0") > MAX_SCANS
    assert decode(data, LIMIT).shape == noise.shape
