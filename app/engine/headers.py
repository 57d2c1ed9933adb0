"""What an image file's header claims, checked before a decoder acts on it.

Knows the byte layout of TIFF directories (EXIF is one), JPEG segments, PNG chunks, BMP and WebP headers; knows
nothing of Pillow and decodes no pixel. Whatever is malformed may also raise `struct.error` or `LookupError`.
"""

import re
import struct
from dataclasses import dataclass
from typing import Literal

from isal import isal_zlib

from app.errors import FormatRefusedError, ImageAnimatedError, ImageCorruptError

_ORIENTATION, _WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 274, 256, 257, 322, 323
_SHORT, _LONG = 3, 4
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}  # BigTIFF's, which decoders also read in classic files
_NUMBER_TYPES = _TYPE_BYTES.keys() - {1, 2, 7}  # these stay one string of bytes

MAX_TAGS = 200
# Each becomes a Python object of up to some 400 bytes. One strip a row and three planes need 196,608.
_MAX_NUMBERS = 2**18
_MAX_PADDED_PIXELS, _MAX_PADDING = 4 * 2**20, 4

# What ends a scan: no stuffed zero, no restart mark, no padding.
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
# Legal files have at most a few dozen scans; each costs a pass over all coefficients.
MAX_SCANS = 100
_MAX_SEGMENTS, _MAX_EXIF_SEGMENTS = 1024, 16
_NEXT_MARKER = re.compile(rb"[^\xff]{0,1024}\xff{1,1024}([^\xff])")
_BARE_MARKERS = frozenset({0x00, *range(0xD0, 0xDA)})  # no length follows
_SEGMENTS = frozenset({*range(0xC0, 0xD0), *range(0xDB, 0xF0), 0xFE}) - {0xC8}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_LOSSLESS = re.compile(rb"\xff[\xc3\xc7\xcb\xcf]")

_MAX_CHUNKS = 1024
_LEAST_PIXEL_BYTES = 64  # of a chunk that is worth its handling

_OS2_HEADER_BYTES = 12  # the oldest BMP header, which names no compression
_RUN_LENGTHS = frozenset({1, 2})  # of pixels of 8 bits, of 4 bits


@dataclass(frozen=True)
class _Tag:
    """One directory entry; `field` is the value where it fits into 4 bytes, else the value's offset."""

    number: int
    type: int
    count: int
    field: bytes

    @property
    def size_bytes(self) -> int:
        return self.count * _TYPE_BYTES.get(self.type, 0)


@dataclass(frozen=True)
class _Directory:
    order: Literal["little", "big"]
    tags: list[_Tag]
    first: int
    following: int


def check_tiff(data: bytes) -> None:
    """Refuse a classic TIFF whose opening or decoding costs far more than its bytes and pixels.

    Decoders copy each tag's value, though thousands of tags may name the same bytes, and make buffers of a
    tile's size, though the image may be smaller.

    Raises:
        ImageAnimatedError: there is a second page.
        ImageCorruptError: the directory is not an honest file's.
    """
    directory = _read_directory(data)
    tags = directory.tags
    if len(tags) > MAX_TAGS or len({tag.number for tag in tags}) < len(tags):
        raise ImageCorruptError(f"the TIFF has more than {MAX_TAGS} tags, or one of them twice")
    if sum(tag.size_bytes for tag in tags) > len(data):
        raise ImageCorruptError("the TIFF's tags claim more bytes than the file has")
    if sum(tag.count for tag in tags if tag.type in _NUMBER_TYPES) > _MAX_NUMBERS:
        raise ImageCorruptError(f"the TIFF's tags hold more than {_MAX_NUMBERS} numbers")
    if directory.following not in (0, directory.first):
        raise ImageAnimatedError("send one page; multi-page TIFF files are refused")
    _check_tiles(data, directory)


def _check_tiles(data: bytes, directory: _Directory) -> None:
    numbers = {tag.number: _first_number(data, directory, tag) for tag in directory.tags}
    if not {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT} <= numbers.keys():
        return
    width, height = numbers[_WIDTH], numbers[_HEIGHT]
    across, down = max(1, numbers[_TILE_WIDTH]), max(1, numbers[_TILE_HEIGHT])
    padded = -(-width // across) * across * (-(-height // down) * down)
    if padded > max(_MAX_PADDING * width * height, _MAX_PADDED_PIXELS):
        raise ImageCorruptError(f"tiles of {across} x {down} pixels for {width} x {height}")


def read_orientation(exif: bytes) -> int | None:
    """Return the Orientation tag of an EXIF block, or None; no other tag is looked at.

    Raises:
        ImageCorruptError: the block is no EXIF.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    if not exif:
        return None
    directory = _read_directory(exif)
    for tag in directory.tags:
        if tag.number == _ORIENTATION and tag.type in (_SHORT, _LONG) and tag.count == 1:
            return _first_number(exif, directory, tag)
    return None


def _read_directory(block: bytes) -> _Directory:
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"
    if block[:4] not in (b"II*\0", b"MM\0*"):
        raise ImageCorruptError("the metadata do not begin with a TIFF header")
    mark = "<" if order == "little" else ">"
    (first,) = struct.unpack_from(f"{mark}I", block, 4)
    (count,) = struct.unpack_from(f"{mark}H", block, first)
    entry = struct.Struct(f"{mark}HHI4s")
    start, end = first + 2, first + 2 + count * entry.size
    tags = [_Tag(*values) for values in entry.iter_unpack(block[start:end])]
    (following,) = struct.unpack_from(f"{mark}I", block, end)
    return _Directory(order, tags, first, following)


def _first_number(block: bytes, directory: _Directory, tag: _Tag) -> int:
    size, value = _TYPE_BYTES.get(tag.type, 0), tag.field
    if tag.size_bytes > len(value):
        start = int.from_bytes(value, directory.order)
        value = block[start : start + size]
    return int.from_bytes(value[:size], directory.order)


def shrinks(data: bytes) -> bool:
    """Tell whether libjpeg decodes a JPEG smaller when asked to; one without cosine transform it does not.

    Pillow does not look, and has room for the smaller picture only: the rest would be written behind it. So no
    byte pair of the file may be such a frame's marker, wherever a parser might find it. Coded data never hold
    one; in a profile or a note it may stand by chance, which costs nothing but time.
    """
    return _LOSSLESS.search(data) is None


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG of thousands of scans, or of thousands of segments before or between them.

    What comes after the picture's end, a film or a sensor's raw data, is nobody's scans.

    Raises:
        ImageCorruptError: no camera writes such a file.
    """
    position, marker, scans = _first_scan(data), _START_OF_SCAN, 1
    for _ in range(_MAX_SEGMENTS):
        if marker == _START_OF_SCAN or marker in _SEGMENTS:
            position += _segment_bytes(data, position)
        if (found := _AFTER_SCAN.search(data, position)) is None:
            return
        marker, position = found[1][0], found.end()
        scans += marker == _START_OF_SCAN
        if marker == _END_OF_IMAGE:
            return
        if scans > MAX_SCANS:
            break
    raise ImageCorruptError(f"the JPEG has more than {MAX_SCANS} scans, or too much between them")


def _first_scan(data: bytes) -> int:
    """Return where the first scan's header begins, behind its marker."""
    position, exif_segments = 2, 0
    for _ in range(_MAX_SEGMENTS):
        if (found := _NEXT_MARKER.match(data, position)) is None:
            break
        marker, position = found[1][0], found.end()
        if marker == _START_OF_SCAN:
            return position
        if marker in _SEGMENTS:
            exif_segments += data.startswith(b"Exif\0\0", position + 2)
            position += _segment_bytes(data, position)
        elif marker not in _BARE_MARKERS:
            break
        if exif_segments > _MAX_EXIF_SEGMENTS:  # Pillow joins them one by one
            break
    raise ImageCorruptError("the JPEG has no scan, or too much before it")


def _segment_bytes(data: bytes, position: int) -> int:
    """Return how long the segment is whose length stands at a position, the length included."""
    return max(2, int.from_bytes(data[position : position + 2], "big"))


def check_png(data: bytes) -> None:
    """Refuse a PNG with a wrong checksum, or with thousands of chunks that hold no pixels to speak of.

    Pillow does not look at the pixels' checksums: the missing end of a half-written file would be one colour.

    Raises:
        ImageCorruptError: the file is damaged or half-written, or no camera writes such a one.
    """
    view = memoryview(data)
    position, others = 8, 0
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        others += kind != b"IDAT" or length < _LEAST_PIXEL_BYTES
        if others > _MAX_CHUNKS:
            raise ImageCorruptError(f"the PNG has more than {_MAX_CHUNKS} chunks beside its pixels")
        if isal_zlib.crc32(view[position + 4 : end]) != checksum:
            raise ImageCorruptError("a checksum is wrong: the PNG is damaged or half-written")
        if kind == b"IEND":
            return
        position = end + 4
    raise ImageCorruptError("the PNG ends before its last chunk: it is half-written")


def png_depth(data: bytes) -> int:
    """Return the bits of one channel from a PNG's header."""
    return data[24]


def check_bmp(data: bytes) -> None:
    """Refuse a BMP of run lengths: Pillow expands them in Python, 64 million pixels of 9 KB in 13 s.

    Raises:
        FormatRefusedError: it is one.
    """
    header_bytes = int.from_bytes(data[14:18], "little")
    compression = int.from_bytes(data[30:34], "little")
    if header_bytes != _OS2_HEADER_BYTES and compression in _RUN_LENGTHS:
        raise FormatRefusedError(
            "run-length encoded BMP is not accepted; send the BMP uncompressed, or a PNG"
        )


def webp_size(data: bytes) -> tuple[int, int]:
    """Read width and height from a WebP header (RFC 9649, section 2)."""
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF
