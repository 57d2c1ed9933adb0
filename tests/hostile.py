"""Bodies no decoder and no parser should have to see: at least 300 of them, each with a name.

Generated, not stored: from good pictures and forms, broken in every way somebody could think of.
"""

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tests.costly import costly_pictures
from tests.fakes import encode, grey

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
NOISE = np.random.default_rng(7).integers(0, 256, (48, 64, 3), dtype=np.uint8)
PICTURES = {name: encode(NOISE, name) for name in FORMATS}
PNG = encode(grey(90))
PNG_BASE64 = base64.b64encode(PNG).decode()


class Hostile(NamedTuple):
    """One request that must be refused."""

    name: str
    body: bytes
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/octet-stream"


def hostile_requests() -> Iterator[Hostile]:
    """Yield all of them."""
    for source in (
        _truncated,
        _damaged,
        _bombs,
        _costly,
        _polyglots,
        _other_formats,
        _animations,
        _json,
        _json_blanks,
        _json_members,
        _multipart,
        _parameters,
        _noise,
    ):
        yield from source()


def _truncated() -> Iterator[Hostile]:
    for name, data in PICTURES.items():
        offsets = {1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 16, 20, 24, 30, 40, 54, 60}
        offsets |= {len(data) * part // 16 for part in range(1, 16)}
        for offset in sorted(o for o in offsets if o < len(data)):
            yield Hostile(f"{name} ends after {offset} bytes", data[:offset])


def _damaged() -> Iterator[Hostile]:
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


def _bombs() -> Iterator[Hostile]:
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


def _costly() -> Iterator[Hostile]:
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


def _polyglots() -> Iterator[Hostile]:
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


def _other_formats() -> Iterator[Hostile]:
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


def _animations() -> Iterator[Hostile]:
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    for name in ("PNG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        frames[0].save(buffer, format=name, save_all=True, append_images=frames[1:])
        yield Hostile(f"{name} of two frames", buffer.getvalue())


def _json() -> Iterator[Hostile]:
    bodies: dict[str, bytes] = {
        "nothing": b"{}",
        "a list": b"[]",
        "a number": b"17",
        "a string": b'"image"',
        "null": b"null",
        "half": b'{"image": "',
        "no value": b'{"image": }',
        "single quotes": b"{'image': 'x'}",
        "a trailing comma": b'{"image": "AAAA",}',
        "two objects": b'{"image": "AAAA"}{"image": "AAAA"}',
        "a comment": b'{/* x */"image": "AAAA"}',
        "NaN": b'{"image": NaN}',
        "10000 braces": b'{"a":' * 10_000,
        "100000 brackets": b'{"image": ' + b"[" * 100_000,
        "100000 members": b"{" + b'"a":1,' * 100_000 + b'"b":1}',
        "a lone surrogate": b'{"image": "\\ud800"}',
        "a bad escape": b'{"image": "\\x41"}',
        "bytes that are no UTF-8": b'{"image": "\xff\xfe"}',
        "control characters": b'{"image": "\x00\x01"}',
        "image twice": json.dumps({"image": PNG_BASE64})[:-1].encode()
        + f', "image": "{PNG_BASE64}"}}'.encode(),
        "threshold twice": f'{{"image": "{PNG_BASE64}", "threshold": 1, "threshold": 0}}'.encode(),
        "a huge exponent": f'{{"image": "{PNG_BASE64}", "threshold": 1e999}}'.encode(),
        "a huge integer": f'{{"image": "{PNG_BASE64}", "sequence": {"9" * 5000}}}'.encode(),
        "a NaN threshold": f'{{"image": "{PNG_BASE64}", "threshold": NaN}}'.encode(),
        "an infinite threshold": f'{{"image": "{PNG_BASE64}", "threshold": -Infinity}}'.encode(),
    }
    for name, body in bodies.items():
        yield Hostile(f"JSON: {name}", body, content_type="application/json")
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"):
        text = json.dumps({"image": "+AAA"}).encode(encoding)
        yield Hostile(f"JSON in {encoding}", text, content_type="application/json")


def _json_blanks() -> Iterator[Hostile]:
    for name, blank in (("blanks", b" "), ("newlines", b"\\n")):
        words = (b"abc" + blank) * 2**20
        yield Hostile(f"JSON: an image of words and {name}", b'{"image": "' + words + b'A"}')


def _json_members() -> Iterator[Hostile]:
    images: list[Any] = [
        None,
        True,
        0,
        -1,
        1.5,
        [],
        {},
        [PNG_BASE64],
        {"data": PNG_BASE64},
        "",
        " ",
    ]
    images += ["=", "====", "AAA", "A" * 1001, "not base64!", "http://example.org/a.png"]
    images += [
        "data:image/png;base64,",
        "data:image/png,%89PNG",
        "file:///etc/passwd",
        "\0",
        PNG_BASE64 + "!",
    ]
    for number, image in enumerate(images):
        body = json.dumps({"image": image}).encode()
        yield Hostile(f"image member {number}: {str(image)[:20]!a}", body)
    for name, value in _bad_values():
        body = json.dumps({"image": PNG_BASE64, name: value}).encode()
        yield Hostile(f"JSON {name}: {str(value)[:30]!a}", body)


_NO_NUMBERS: tuple[Any, ...] = ("x", [], {}, True)
_BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "product": (5, True, [], {}, "x" * 129, "", "   "),
    "part_id": (5, True, [], {}, "x" * 129),
    "sequence": (*_NO_NUMBERS, 1.5, 2**63, -(2**63) - 1, "1e3", "0x10"),
    "threshold": (*_NO_NUMBERS, False, -0.1, 1.1, 1e300, "nan", "inf", "0,5", "1/2", ""),
    "heatmap": ("x", "", 0, True, [], {}, "OVERLAY", "png;", "plc "),
    "heatmap_format": ("x", "", 0, True, [], {}, "PNG", "png;"),
    "profile": ("x", "", 0, True, [], {}, "PLC", "plc "),
    "heatmap_size": (*_NO_NUMBERS, 0, -1, 15, 4097, 1e9, 1.5, ""),
    "deadline_ms": (*_NO_NUMBERS, 0, -1, 1e12, 1.5, ""),
    "roi": (
        "", "1", "1,2", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,0", "-1,0,2,2", "0,0,9e9,1",
        "9999999999,0,1,1", "0,0,41,30", "0,0,40,31", "39,29,2,1", [0, 0, 1, 1], 5, {},
    ),
    "image_path": ("", 5, [], "../../etc/passwd", "/etc/passwd", "\0", "a" * 2000),
}  # fmt: skip
_UNKNOWN_NAMES = ("Image", "treshold", "__proto__", "product[]", "image.data", "", " ")


def _bad_values() -> Iterator[tuple[str, Any]]:
    for name, values in _BAD_VALUES.items():
        yield from ((name, value) for value in values)
    yield from ((name, "x") for name in _UNKNOWN_NAMES)


def _multipart() -> Iterator[Hostile]:
    kind = "multipart/form-data; boundary=x"
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    field = b'--x\r\nContent-Disposition: form-data; name="threshold"\r\n\r\n'
    end = b"\r\n--x--\r\n"
    bodies = {
        "no end": head + PNG,
        "half an end": head + PNG + b"\r\n--x",
        "another boundary": head.replace(b"--x", b"--y") + PNG + end,
        "no parts": b"--x--\r\n",
        "no image": field + b"0.5" + end,
        "two images": head + PNG + b"\r\n" + head + PNG + end,
        "an empty image": head + end,
        "a thousand fields": field.replace(b"threshold", b"a") * 1000 + end,
        "no name": head.replace(b'name="image"; ', b"") + PNG + end,
        "no disposition": b"--x\r\n\r\n" + PNG + end,
        "a header without end": b"--x\r\nContent-Disposition: " + b"x" * 100_000,
        "a bad header": b"--x\r\n\0\0: form-data\r\n\r\n" + PNG + end,
        "a binary field": head + PNG + b"\r\n" + field + b"\xff\xfe" + end,
        "a bad field": head + PNG + b"\r\n" + field + b"high" + end,
        "a field twice": head + PNG + b"\r\n" + field + b"1\r\n" + field + b"0" + end,
        "text instead of a picture": head + b"picture" + end,
        "a nested form": head + head + PNG + end,
    }
    for name, body in bodies.items():
        yield Hostile(f"multipart: {name}", body, content_type=kind)
    for boundary in ("", "boundary=", "boundary=" + "x" * 5000, 'boundary="', "boundary=\x7f"):
        kind = f"multipart/form-data; {boundary}"
        yield Hostile(f"multipart with {boundary[:20]!a}", b"--y\r\n\r\n" + PNG, content_type=kind)


def _parameters() -> Iterator[Hostile]:
    for name, value in _bad_values():
        if isinstance(value, str | int | float) and name not in ("product", "part_id"):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield Hostile(f"query {name}: {text[:30]!a}", PNG, ((name, text),))
    yield Hostile("query: product twice", PNG, (("product", "a"), ("product", "b")))
    yield Hostile(
        "query and body disagree",
        json.dumps({"image": PNG_BASE64, "threshold": 1}).encode(),
        (("threshold", "0"),),
    )
    yield Hostile("query: a part_id of 10000", PNG, (("part_id", "x" * 10_000),))
    yield Hostile("query: a product of 10000", PNG, (("product", "x" * 10_000),))
    yield Hostile("query: a hundred names", PNG, tuple((f"p{i}", "x") for i in range(100)))


def _noise() -> Iterator[Hostile]:
    rng = np.random.default_rng(11)
    yield Hostile("nothing", b"")
    for size in (1, 2, 3, 10, 100, 1000, 100_000):
        yield Hostile(f"{size} random bytes", b"\x01" + rng.bytes(size))
        yield Hostile(f"{size} zeros", bytes(size))
