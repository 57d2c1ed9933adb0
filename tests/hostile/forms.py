"""JSON, forms and parameters that say nothing, or too much."""

import json
from collections.abc import Iterator
from typing import Any

from tests.hostile.request import PNG, PNG_BASE64, Hostile


def json_bodies() -> Iterator[Hostile]:
    """Yield JSON that is none, or says nothing useful."""
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


def json_blanks_bodies() -> Iterator[Hostile]:
    """Yield base64 with much between its words."""
    for name, blank in (("blanks", b" "), ("newlines", b"\\n")):
        words = (b"abc" + blank) * 2**20
        yield Hostile(f"JSON: an image of words and {name}", b'{"image": "' + words + b'A"}')


def json_members_bodies() -> Iterator[Hostile]:
    """Yield members of the wrong kind."""
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


_NO_NUMBERS: tuple[Any, ...] = ("x", [], {}, True, "1" * 40_000 + "x", " " * 40_000)
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


def multipart_bodies() -> Iterator[Hostile]:
    """Yield broken forms."""
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


def parameter_requests() -> Iterator[Hostile]:
    """Yield parameters of the wrong kind."""
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
