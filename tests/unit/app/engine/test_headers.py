"""Headers that ask for far more than the file is worth are refused before they cost; honest ones pass."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from app.engine import decode as decoding
from app.engine.decode import decode
from app.engine.headers import read_orientation, webp_size
from app.errors import FormatRefusedError, ImageCorruptError, ImageTooLargeError, RequestError
from tests.costly import (
    LONG,
    LONG8,
    SHORT,
    UNDEFINED,
    TagValue,
    bmp_of_run_lengths,
    costly_pictures,
    directory,
    png,
    tiff,
    tiff_of_one_tile,
    tiff_of_tags,
)
from tests.fakes import encode

LIMIT, LONGEST_PX = 64_000_000, 32_768
ORIENTATION, TURNED_LEFT = 0x0112, 6
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
COSTLY = dict(costly_pictures())


def _peak_bytes(data: bytes, expected: type[RequestError] | None = None) -> int:
    tracemalloc.start()
    try:
        if expected is None:
            decode(data, LIMIT)
        else:
            with pytest.raises(expected):
                decode(data, LIMIT)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", COSTLY)
def test_costly_pictures_are_refused_before_they_cost(name: str) -> None:
    """Not more memory than a few copies of the file, whatever its header asks for."""
    data = COSTLY[name]
    assert _peak_bytes(data, RequestError) < 4 * len(data) + 2**20


def _exif(orientation: int, count: int, size_bytes: int, order: str) -> bytes:
    """Return an EXIF block, of whose tags all but the orientation name the same bytes."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    short = struct.unpack(f"{order}I", struct.pack(f"{order}HH", orientation, 0))[0]
    tags = [(ORIENTATION, 3, 1, short)]
    tags += [(40_000 + number, UNDEFINED, size_bytes, 8) for number in range(count)]
    block = mark + struct.pack(f"{order}I", 8) + directory(tags, order)
    return b"Exif\0\0" + block + bytes(size_bytes)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP"])
def test_exif_of_many_tags_costs_nothing_and_turns_the_picture(encoding: str, order: str) -> None:
    """A thousand tags that name the same 40 kB would take Pillow 40 MB, and up to gigabytes."""
    image = Image.fromarray(PICTURE)
    options = {"lossless": True} if encoding == "WEBP" else {}
    plain = decode(encode(image, encoding, **options), LIMIT)
    data = encode(image, encoding, exif=_exif(TURNED_LEFT, 1000, 40_000, order), **options)
    np.testing.assert_array_equal(decode(data, LIMIT), np.rot90(plain, -1))
    assert _peak_bytes(data) < 4 * len(data) + 2**20


def test_an_exif_directory_behind_the_block_is_corrupt() -> None:
    """So is what begins like no EXIF at all; nothing is no EXIF."""
    big = b"II+\0\x08\0\0\0" + directory([(ORIENTATION, SHORT, 1, TURNED_LEFT)])
    for block in (b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0nonsense", b"MM\0*", big):
        with pytest.raises(ImageCorruptError):
            decode(encode(PICTURE, "PNG", exif=block), LIMIT)
    assert read_orientation(b"Exif\0\0") is None
    assert read_orientation(b"II*\0\x08\0\0\0" + directory([])) is None


@pytest.mark.parametrize(
    ("mark", "tag", "expected"),
    [
        (b"Exif\0\0" * 2, (ORIENTATION, SHORT, 1, 6), 6),
        (b"", (ORIENTATION, LONG, 1, 6), 6),
        (b"", (ORIENTATION, UNDEFINED, 1, 6), None),
        (b"", (ORIENTATION, SHORT, 2, 6), None),
    ],
    ids=["marked twice", "long", "undefined", "two"],
)
def test_an_orientation_is_one_whole_number(
    mark: bytes, tag: TagValue, expected: int | None
) -> None:
    """Short or long, and behind as many marks of EXIF as a writer put there."""
    assert read_orientation(mark + b"II*\0\x08\0\0\0" + directory([tag])) == expected


@pytest.mark.parametrize("encoding", ["TIFF", "JPEG", "PNG", "WEBP"])
def test_honest_metadata_pass(encoding: str) -> None:
    """EXIF with directories below it, XMP, resolution, a colour profile."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[271], exif[282] = 1, "Maker", 72.0
    exif.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    options = {"lossless": True} if encoding == "WEBP" else {}
    data = encode(PICTURE, encoding, exif=exif, icc_profile=bytes(3000), dpi=(72, 72), **options)
    assert decode(data, LIMIT).shape == PICTURE.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_orientation_is_applied_once(orientation: int) -> None:
    """By Pillow as it loads, not again by us."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = encode(PICTURE, "PNG", exif=exif)
    found = decode(encode(PICTURE, "TIFF", exif=exif), LIMIT)
    np.testing.assert_array_equal(found, decode(turned, LIMIT))


def test_orientation_is_found_where_there_is_no_exif() -> None:
    """In XMP, and in the hexadecimal profile ImageMagick writes into a PNG."""
    turned = np.rot90(PICTURE, -1)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in PICTURE))
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + b'<x tiff:Orientation="6"/>'
    block = _exif(TURNED_LEFT, 1, 8, ">")
    profile = b"Raw profile type exif\0\nexif\n      %d\n" % len(block) + block.hex().encode()
    for chunk in ((b"iTXt", xmp), (b"tEXt", profile)):
        data = png(30, 20, 8, 2, chunk, (b"IDAT", rows))
        np.testing.assert_array_equal(decode(data, LIMIT), turned)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_honest_tiffs_pass(compression: str | None) -> None:
    """Of one strip or many."""
    tall = np.repeat(PICTURE, 100, axis=0)
    data = encode(tall, "TIFF", compression=compression, strip_size=1)
    np.testing.assert_array_equal(decode(data, LIMIT), tall)


def test_tags_up_to_the_limit_pass() -> None:
    """The nine of the picture among them."""
    assert decode(tiff_of_tags(200 - 9, 1), LIMIT).shape == (9, 9, 3)
    with pytest.raises(ImageCorruptError, match="more than 200 tags"):
        decode(tiff_of_tags(200 - 8, 1), LIMIT)


def test_numbers_up_to_the_limit_pass() -> None:
    """The picture's nine tags hold one each."""
    most = 2**18 - 9
    fits, too_many = (
        tiff(9, 9, [(65_000, LONG, count, 8)], bytes(4 * most)) for count in (most, most + 1)
    )
    assert decode(fits, LIMIT).shape == (9, 9, 3)
    with pytest.raises(ImageCorruptError, match="more than 262144 numbers"):
        decode(too_many, LIMIT)


def test_tags_as_long_as_the_file_pass() -> None:
    """The picture's nine have four bytes each."""
    most = len(tiff(9, 9, [(65_000, UNDEFINED, 5, 8)])) - 9 * 4
    assert decode(tiff(9, 9, [(65_000, UNDEFINED, most, 8)]), LIMIT).shape == (9, 9, 3)
    with pytest.raises(ImageCorruptError, match="more bytes than the file has"):
        decode(tiff(9, 9, [(65_000, UNDEFINED, most + 1, 8)]), LIMIT)


@pytest.mark.parametrize(
    ("kind", "count"), [(1, 300_000), (2, 300_000), (UNDEFINED, 300_000), (LONG, 196_608)]
)
def test_a_long_profile_and_a_strip_for_each_row_pass(kind: int, count: int) -> None:
    """Bytes cost what they weigh, a printer's profile say; of numbers the longest picture has three a row."""
    assert decode(tiff(9, 9, [(65_000, kind, count, 8)], bytes(4 * count)), LIMIT).shape == (
        9,
        9,
        3,
    )


@pytest.mark.parametrize(
    ("side", "fits", "too_large"),
    [
        (16, (2048, 2048), (2064, 2048)),
        (16, (16, 2**18), (16, 2**19)),
        (2048, (4096, 4096), (4112, 4096)),
    ],
)
def test_a_tile_somewhat_larger_than_the_picture_passes(
    side: int, fits: tuple[int, int], too_large: tuple[int, int]
) -> None:
    """Small pictures are written with the tile of large ones, large ones with up to three times their area."""
    assert decode(tiff_of_one_tile(side, *fits), LIMIT).shape == (side, side, 3)
    with pytest.raises(ImageCorruptError, match=f"tiles of {too_large[0]} x {too_large[1]} pixels"):
        decode(tiff_of_one_tile(side, *too_large), LIMIT)


def test_a_tile_whose_size_stands_elsewhere_is_found_there() -> None:
    """As a number of eight bytes, which has no room in the directory."""
    tags = [(256, LONG, 1, 16), (257, LONG, 1, 16)]
    end = 8 + 2 + 12 * 4 + 4
    tags += [(322, LONG8, 1, end), (323, LONG8, 1, end)]
    with pytest.raises(ImageCorruptError, match="tiles of 16384 x 16384"):
        decode(b"II*\0\x08\0\0\0" + directory(tags) + struct.pack("<Q", 16_384), LIMIT)


def test_a_tiff_may_point_back_to_its_only_page() -> None:
    """Some writers do."""
    data = bytearray(tiff(9, 9))
    end = 8 + 2 + 9 * 12
    data[end : end + 4] = struct.pack("<I", 8)
    assert decode(bytes(data), LIMIT).shape == (9, 9, 3)


def test_png_chunks_up_to_the_limit_pass() -> None:
    """Header and end are two of 1024; those that hold pixels do not count, however many there are."""
    noise = np.random.default_rng(1).integers(0, 256, (160, 150, 3), dtype=np.uint8)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in noise), 0)
    pixels = [(b"IDAT", rows[start : start + 64]) for start in range(0, len(rows), 64)]
    assert len(pixels) > 1024
    few = sum(len(data) < 64 for _, data in pixels)
    texts = [(b"tEXt", b"note\0" + bytes(100))] * (1024 - 2 - few)
    np.testing.assert_array_equal(decode(png(150, 160, 8, 2, *texts, *pixels), LIMIT), noise)
    with pytest.raises(ImageCorruptError, match="chunks"):
        decode(png(150, 160, 8, 2, *texts, texts[0], *pixels), LIMIT)


@pytest.mark.parametrize("depth", [4, 8])
def test_run_lengths_are_refused_with_what_to_send(depth: int) -> None:
    """Cameras do not write them; Pillow takes minutes of a processor for a few kilobytes."""
    with pytest.raises(FormatRefusedError, match="send the BMP uncompressed, or a PNG"):
        decode(bmp_of_run_lengths(30, 20, depth), LIMIT)


def test_a_bmp_header_without_compression_passes() -> None:
    """OS/2's is so short that pixels lie where others name their compression."""
    header = struct.pack("<IHHI", 26 + 12, 0, 0, 26) + struct.pack("<IHHHH", 12, 2, 2, 1, 24)
    pixels = bytes((9, 9, 9, 9, 1, 0, 0, 0))
    assert decode(b"BM" + header + 2 * pixels, LIMIT).shape == (2, 2, 3)
    assert (b"BM" + header + pixels)[30] == 1


def test_a_bmp_that_says_where_its_colours_lie_passes() -> None:
    """Cameras' drivers write 32 bits a pixel so."""
    sizes = struct.pack("<IiiHHI", 40, 2, 1, 1, 32, 3) + struct.pack("<IiiII", 8, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    head = b"BM" + struct.pack("<IHHI", 74, 0, 0, 66) + sizes + masks
    found = decode(head + struct.pack("<II", 0x112233, 0x445566), LIMIT)
    assert found.tolist() == [[[0x11, 0x22, 0x33], [0x44, 0x55, 0x66]]]


@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"exif": _exif(1, 0, 0, "<")}], ids=str
)
def test_the_size_of_a_webp_is_known_before_it_is_opened(options: dict[str, object]) -> None:
    """Its canvas would be made at once, as large as its header claims."""
    data = encode(Image.new("RGB", (300, 1025)), "WEBP", **options)
    assert webp_size(data) == (300, 1025)


def test_a_webp_that_is_too_large_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is its canvas made."""
    monkeypatch.setattr(decoding, "open_image", None)
    with pytest.raises(ImageTooLargeError):
        decode(encode(PICTURE, "WEBP"), 599)


@pytest.mark.parametrize(
    ("kind", "body", "size"),
    [
        (b"VP8X", bytes(4) + b"\x6f\x11\1\x7f\x38\1", (70_000, 80_000)),
        (b"VP8L", b"/" + (299 | 1024 << 14 | 1 << 28).to_bytes(4, "little"), (300, 1025)),
        (b"VP8 ", bytes(6) + struct.pack("<HH", 300 | 1 << 14, 1025 | 2 << 14), (300, 1025)),
    ],
    ids=["canvas beyond 64 Ki", "alpha's bit", "scale's bits"],
)
def test_only_bits_of_the_size_make_a_webp_s_size(
    kind: bytes, body: bytes, size: tuple[int, int]
) -> None:
    """RFC 9649 by hand: three bytes a side of a canvas, 14 bits of one of a picture."""
    assert webp_size(b"RIFF\0\0\0\0WEBP" + kind + bytes(4) + body) == size


@pytest.mark.parametrize("encoding", ["PNG", "BMP", "TIFF"])
def test_a_side_up_to_the_limit_passes(encoding: str) -> None:
    """A line camera's picture may be long, but what a resize of it takes grows with the longer side."""
    for size in ((LONGEST_PX, 1), (1, LONGEST_PX)):
        assert decode(encode(Image.new("L", size), encoding), LIMIT).shape[:2] == size[::-1]
        longer = ImageOps.expand(Image.new("L", size), (0, 0, int(size[1] == 1), int(size[0] == 1)))
        with pytest.raises(ImageTooLargeError, match=f"a side may have {LONGEST_PX}"):
            decode(encode(longer, encoding), LIMIT)
