"""Pictures within every limit of size that take a careless decoder gigabytes or minutes, and their making."""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence

from PIL import Image

from tests.fakes import encode, grey

SHORT, LONG, FRACTION, UNDEFINED, LONG8 = 3, 4, 5, 7, 16
TagValue = tuple[int, int, int, int]
"""Number, type, count, and the value or its offset."""

_SCAN = re.compile(rb"\xff\xda(?:[^\xff]|\xff\0)*")


def costly_pictures() -> Iterator[tuple[str, bytes]]:
    """Yield a name and the file, of each that must be refused."""
    yield from _tiffs()
    for width, height in ((1, 4_000_000), (40_000, 2)):
        lines = zlib.compress(bytes((width * 3 + 1) * height), 9)
        yield f"PNG of {width} x {height}", png(width, height, 8, 2, (b"IDAT", lines))
    texts = [(b"tEXt", b"%d\0" % number) for number in range(20_000)]
    pixels = (b"IDAT", zlib.compress(bytes(13 * 4)))
    yield "PNG with 20000 texts", png(4, 4, 8, 2, *texts, pixels)
    for rest in (b"", bytes(9)):
        yield (
            f"PNG with 20000 chunks of {len(rest)} bytes",
            png(4, 4, 8, 2, pixels, *[(b"IDAT", rest)] * 20_000),
        )
    for count in (101, 4000):
        yield f"JPEG of {count} scans", jpeg_of_scans(count)
    jpeg = encode(grey(90), "JPEG")
    for name, piece, count in (
        ("comments", b"\xff\xfe\0\2", 100_000),
        ("EXIF segments", b"\xff\xe1\0\x09Exif\0\0x", 500),
        ("zeros between segments", b"\0", 100_000),
    ):
        yield f"JPEG with {count} {name}", jpeg[:20] + piece * count + jpeg[20:]  # after JFIF
    yield "BMP of 8-bit run lengths", bmp_of_run_lengths(32_768, 40, 8)
    yield "BMP of 4-bit run lengths", bmp_of_run_lengths(32_768, 40, 4)


def _tiffs() -> Iterator[tuple[str, bytes]]:
    for count, size_bytes in ((300, 2_000_000), (30, 2_000_000), (5000, 8), (5000, 100_000)):
        yield f"TIFF with {count} tags of {size_bytes} bytes", tiff_of_tags(count, size_bytes)
    for name, kind in (("fractions", FRACTION), ("long numbers", LONG8)):
        numbers = [(number, kind, 100_000, 8) for number in (282, 283, 286)]
        yield f"TIFF with 300000 {name}", tiff(9, 9, numbers, bytes(3_000_000))
    yield "TIFF with its width twice", tiff(9, 9, [(256, SHORT, 1, 8)])
    for width, height in ((16_384, 16_384), (1, 2**24), (2**32 - 1, 2**32 - 1)):
        yield f"TIFF with tiles of {width} x {height}", tiff_of_one_tile(16, width, height)


def tiff(width: int, height: int, more: Sequence[TagValue] = (), tail: bytes = b"") -> bytes:
    """Return an uncompressed grey TIFF of zeros with more tags."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1), (278, height)]
    tags += [(273, 8 + 2 + 12 * (9 + len(more)) + 4), (279, width * height)]
    tail = bytes(width * height) + tail
    return _tiff_file([*((number, LONG, 1, value) for number, value in tags), *more], tail)


def tiff_of_tags(count: int, size_bytes: int) -> bytes:
    """Return a TIFF with tags that all name the same bytes."""
    more = [(1000 + number, UNDEFINED, size_bytes, 8) for number in range(count)]
    return tiff(9, 9, more, bytes(size_bytes))


def tiff_of_one_tile(side: int, tile_width: int, tile_height: int) -> bytes:
    """Return a deflated TIFF of zeros, whose tile may be far larger than the image."""
    packer = zlib.compressobj(9)
    megabytes = max(1, min(tile_width * tile_height, 2**28) >> 20)
    data = b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
    tags = [(256, side), (257, side), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, tile_width), (323, tile_height), (324, 8 + 2 + 12 * 10 + 4), (325, len(data))]
    return _tiff_file([(number, LONG, 1, value) for number, value in tags], data)


def _tiff_file(tags: Sequence[TagValue], tail: bytes) -> bytes:
    return b"II*\0" + struct.pack("<I", 8) + directory(tags) + tail


def directory(tags: Sequence[TagValue], order: str = "<") -> bytes:
    """Return a TIFF directory that is the last."""
    entries = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    return struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def png(width: int, height: int, depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of the given header and chunks."""
    ihdr = b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    written = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (ihdr, *chunks, (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def jpeg_of_scans(count: int, side_px: int = 64) -> bytes:
    """Return a grey progressive JPEG whose second scan is repeated until there are `count`."""
    jpeg = encode(Image.new("L", (side_px, side_px), 128), "JPEG", progressive=True)
    scans = list(_SCAN.finditer(jpeg))
    again = scans[1][0] * (count - len(scans))
    return jpeg[: scans[1].end()] + again + jpeg[scans[1].end() :]


def bmp_of_run_lengths(width: int, height: int, depth: int) -> bytes:
    """Return a grey BMP whose rows are a pixel and their end, four bytes each."""
    compression, colours = {8: 1, 4: 2}[depth], 2**depth
    rows, palette = b"\x01\x05\x00\x00" * height + b"\x00\x01", bytes(4 * colours)
    start = 14 + 40 + len(palette)
    sizes = struct.pack("<IiiHHI", 40, width, height, 1, depth, compression)
    header = sizes + struct.pack("<IiiII", len(rows), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + palette + rows
