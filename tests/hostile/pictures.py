"""Files that are no pictures, or not what they say."""

import base64
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.costly import costly_pictures
from tests.fakes import encode
from tests.hostile.request import NOISE, PICTURES, Hostile


def truncated() -> Iterator[Hostile]:
    """Yield pictures that end too early."""
    for name, data in PICTURES.items():
        offsets = {1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 16, 20, 24, 30, 40, 54, 60}
        offsets |= {len(data) * part // 16 for part in range(1, 16)}
        for offset in sorted(o for o in offsets if o < len(data)):
            yield Hostile(f"{name} ends after {offset} bytes", data[:offset])


def damaged() -> Iterator[Hostile]:
    """Yield pictures with wrong bytes."""
    for name, data in PICTURES.items():
        head = 8 if name != "BMP" else 2
        yield Hostile(f"{name} signature, then zeros", data[:head] + bytes(200))
        yield Hostile(f"{name} signature, then ones", data[:head] + b"\xff" * 200)
        yield Hostile(f"{name} signature, then text", data[:head] + b"line " * 40)
        yield Hostile(f"{name} signature alone", data[:head])
        yield Hostile(f"{name} after a blank", b" " + data)
        yield Hostile(f"{name} reversed", data[::-1])
        yield Hostile(f"{name} as text", data.hex().encode())
        yield Hostile(f"{name} in base64 without a form", base64.b64encode(data))
    png = bytearray(PICTURES["PNG"])
    png[40] ^= 0xFF
    yield Hostile("PNG with a wrong checksum", bytes(png))
    yield Hostile("PNG without data", _png_chunks(_ihdr(4, 4), (b"IEND", b"")))
    yield Hostile("PNG without a header", _png_chunks((b"IDAT", zlib.compress(bytes(64)))))
    yield Hostile("PNG whose data is no zlib", _png_chunks(_ihdr(4, 4), (b"IDAT", b"nonsense")))


def _png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    written = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _ihdr(width: int, height: int, depth: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def bombs() -> Iterator[Hostile]:
    """Yield small files of large pictures."""
    tiny = (b"IDAT", zlib.compress(bytes(100)))
    for side in (10_000, 65_535, 2**20, 2**31 - 1):
        yield Hostile(
            f"PNG of {side} squared", _png_chunks(_ihdr(side, side), tiny, (b"IEND", b""))
        )
    for width, height in ((0, 4), (4, 0), (0, 0), (2**31, 4)):
        yield Hostile(f"PNG of {width} x {height}", _png_chunks(_ihdr(width, height), tiny))
    for depth, colour in ((3, 2), (16, 3), (8, 5), (255, 255)):
        yield Hostile(
            f"PNG of depth {depth}, colour {colour}", _png_chunks(_ihdr(4, 4, depth, colour), tiny)
        )
    text = (b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))
    yield Hostile("PNG with 200 MB of text", _png_chunks(_ihdr(99_999, 99_999), text, tiny))
    jpeg = bytearray(PICTURES["JPEG"])
    start = jpeg.find(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, start + 5, 65_500, 65_500)
    yield Hostile("JPEG of 65500 squared", bytes(jpeg))
    bmp = bytearray(PICTURES["BMP"])
    for side in (20_000, 2**30, -1):
        struct.pack_into("<ii", bmp, 18, side, side)
        yield Hostile(f"BMP of {side} squared", bytes(bmp))
    for side in (20_000, 2**31, 0):
        yield Hostile(f"TIFF of {side} squared", _tiff(side, side))
    yield Hostile("TIFF whose strip lies behind its end", _tiff(64, 64, strip_offset=10**9))
    for side in (16_383, 2**24 - 1):
        canvas = (side).to_bytes(3, "little") * 2
        chunk = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas
        yield Hostile(f"WebP canvas of {side + 1} squared", _riff(chunk))
    lossless = (16_383 | 16_383 << 14).to_bytes(4, "little")
    yield Hostile(
        "WebP lossless of 16384 squared", _riff(b"VP8L" + struct.pack("<I", 5) + b"/" + lossless)
    )


def costly() -> Iterator[Hostile]:
    """Yield files that cost far more than they show."""
    yield from (Hostile(name, body) for name, body in costly_pictures())
    deep = np.full((4, 4), 4000, dtype=np.uint16)
    data = encode(Image.fromarray(deep), "TIFF", big_tiff=True)
    yield Hostile("BigTIFF", data)


def _riff(chunk: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def _tiff(width: int, height: int, strip_offset: int = 200) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, strip_offset)]
    tags += [(277, 1), (278, height), (279, width * height % 2**32)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value % 2**32) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def polyglots() -> Iterator[Hostile]:
    """Yield files that are several things at once."""
    heads = {
        "GIF": b"GIF89a",
        "PDF": b"%PDF-1.7\n",
        "ZIP": b"PK\x03\x04",
        "HTML": b"<!doctype html><script>",
        "ELF": b"\x7fELF",
        "EXE": b"MZ\x90\0",
        "script": b"#!/bin/sh\n",
        "PHP": b"<?php ",
        "gzip": b"\x1f\x8b\x08",
        "SVG": b"<svg onload='x'>",
    }
    for head_name, head in heads.items():
        for name in ("PNG", "JPEG"):
            yield Hostile(f"{head_name} before {name}", head + PICTURES[name])


def other_formats() -> Iterator[Hostile]:
    """Yield files of formats that are not taken."""
    for name in ("GIF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "DDS", "PDF", "EPS", "SGI", "IM"):
        yield Hostile(f"{name} picture", encode(Image.fromarray(NOISE), name))
    for name, data in {
        "SVG": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        "HEIF": b"\0\0\0\x18ftypheic" + bytes(40),
        "AVIF": b"\0\0\0\x18ftypavif" + bytes(40),
        "PSD": b"8BPS\0\1" + bytes(40),
        "DICOM": bytes(128) + b"DICM" + bytes(40),
        "EXR": b"v/1\x01" + bytes(40),
        "FITS": b"SIMPLE  =                    T",
        "numpy": b"\x93NUMPY\x01\0",
        "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix",
        "MP4": b"\0\0\0\x20ftypisom" + bytes(40),
    }.items():
        yield Hostile(f"{name} file", data)


def animations() -> Iterator[Hostile]:
    """Yield pictures of several frames."""
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    for name in ("PNG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        frames[0].save(buffer, format=name, save_all=True, append_images=frames[1:])
        yield Hostile(f"{name} of two frames", buffer.getvalue())


def noise() -> Iterator[Hostile]:
    """Yield what is nothing at all."""
    rng = np.random.default_rng(11)
    yield Hostile("nothing", b"")
    for size in (1, 2, 3, 10, 100, 1000, 100_000):
        yield Hostile(f"{size} random bytes", b"\x01" + rng.bytes(size))
        yield Hostile(f"{size} zeros", bytes(size))
