"""Decoding: the right pixels from every kind of file, and a clear refusal of the rest."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.engine import decode as decoding
from app.engine.decode import decode
from app.errors import (
    FormatRefusedError,
    ImageAnimatedError,
    ImageCorruptError,
    ImageTooLargeError,
    RequestError,
)
from tests.costly import png
from tests.fakes import encode

LIMIT = 1_000_000
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
EXTREMES = (np.finfo(np.float32).min, np.finfo(np.float32).max)  # often written for no value
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


@pytest.mark.parametrize("encoding", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_exact_pixels(encoding: str) -> None:
    """Uint8, RGB, contiguous, writable."""
    found = decode(encode(PICTURE, encoding), LIMIT)
    np.testing.assert_array_equal(found, PICTURE)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert found.flags.writeable


@pytest.mark.parametrize("encoding", ["JPEG", "WEBP"])
def test_lossy_formats_give_nearly_the_pixels(encoding: str) -> None:
    """A smooth picture survives."""
    smooth = np.linspace(0, 255, 30 * 20 * 3).reshape(20, 30, 3).astype(np.uint8)
    found = decode(encode(smooth, encoding, quality=95), LIMIT)
    assert np.abs(found.astype(int) - smooth).mean() < 6


def test_grey_palette_and_bilevel_become_rgb() -> None:
    """One value for three channels; a palette by its colours."""
    grey = Image.fromarray(PICTURE).convert("L")
    expected = np.repeat(np.asarray(grey)[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode(encode(grey), LIMIT), expected)
    palette = Image.fromarray(PICTURE).quantize(16)
    np.testing.assert_array_equal(
        decode(encode(palette), LIMIT), np.asarray(palette.convert("RGB"))
    )
    bilevel = grey.convert("1")
    assert set(np.unique(decode(encode(bilevel), LIMIT))) == {0, 255}


def test_cmyk_and_ycbcr_become_rgb() -> None:
    """Print and video colour spaces are converted, not misread."""
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = decode(encode(cmyk, "TIFF"), LIMIT)[0, 0]
    assert red[0] > 200
    assert red[1] < 80


def test_transparency_is_shown_on_white() -> None:
    """Whatever colour hides below alpha 0 is not inspected."""
    rgba = Image.fromarray(PICTURE).convert("RGBA")
    rgba.putalpha(0)
    rgba.putpixel((0, 0), (9, 9, 9, 255))
    found = decode(encode(rgba), LIMIT)
    assert (found[0, 0] == 9).all()
    assert (found[1:] == 255).all()
    keyed = Image.new("P", (4, 4), 3)
    keyed.putpalette([7] * 768)
    keyed.putpixel((0, 0), 4)
    found = decode(encode(keyed, transparency=3), LIMIT)
    assert (found[0, 0] == 7).all()
    assert (found[1:] == 255).all()


@pytest.mark.parametrize("encoding", ["PNG", "TIFF", "WEBP"])
def test_a_picture_that_is_transparent_all_over_is_refused(encoding: str) -> None:
    """A camera's BGRX buffer saved as BGRA would be inspected as a white sheet, and be fine."""
    rgba = Image.fromarray(PICTURE).convert("RGBA")
    rgba.putalpha(0)
    with pytest.raises(FormatRefusedError, match="without an alpha channel"):
        decode(encode(rgba, encoding), LIMIT)
    rgba.putalpha(1)  # hardly to be seen, but said by somebody
    assert decode(encode(rgba, encoding), LIMIT).min() >= 254


@pytest.mark.parametrize("encoding", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_by_its_real_range(encoding: str) -> None:
    """Twelve-bit cameras fill a sixteenth of the range; clipping to 8 bits would lose all of it."""
    values = np.array([[1000, 1500], [2000, 3000]], dtype=np.uint16)
    found = decode(encode(Image.fromarray(values), encoding), LIMIT)
    np.testing.assert_array_equal(found[..., 0], [[0, 64], [128, 255]])
    assert (found[..., 0] == found[..., 2]).all()


def test_flat_16_bit_grey_is_mid_grey() -> None:
    """There is no range to scale by."""
    values = np.full((3, 3), 40000, dtype=np.uint16)
    assert (decode(encode(Image.fromarray(values)), LIMIT) == 128).all()


def test_float_tiff_is_scaled_and_holes_are_refused() -> None:
    """A depth camera's float image works; one with holes says so."""
    values = np.array([[-1.0, 0.0, 1.0]], dtype=np.float32)
    found = decode(encode(Image.fromarray(values), "TIFF"), LIMIT)
    np.testing.assert_array_equal(found[0, :, 0], [0, 128, 255])
    for hole in (np.nan, np.inf, *EXTREMES):
        values[0, 0] = hole
        with pytest.raises(ImageCorruptError, match="not numbers"):
            decode(encode(Image.fromarray(values), "TIFF"), LIMIT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    """Regions refer to the upright picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(PICTURE, "PNG", exif=exif.tobytes())
    turned = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE, -1),
        7: np.rot90(PICTURE, 2).transpose(1, 0, 2),
        8: np.rot90(PICTURE),
    }
    np.testing.assert_array_equal(decode(data, LIMIT), turned[orientation])


@pytest.mark.parametrize("encoding", FORMATS)
def test_truncated_files_are_refused(encoding: str) -> None:
    """Half a picture is no picture: a part's lower half must not go uninspected."""
    data = encode(PICTURE, encoding)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ImageCorruptError):
            decode(data[: int(len(data) * share)], LIMIT)


@pytest.mark.parametrize("encoding", ["PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(encoding: str) -> None:
    """Which one would have been inspected?"""
    frames = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)]
    data = encode(frames[0], encoding, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageAnimatedError):
        decode(data, LIMIT)


def test_a_jpeg_with_an_embedded_second_picture_is_its_first() -> None:
    """Phones and some cameras append previews (MPO); the main picture is what was taken."""
    frames = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    single = decode(encode(PICTURE, "JPEG"), LIMIT)
    np.testing.assert_array_equal(decode(data, LIMIT), single)


@pytest.mark.parametrize("encoding", FORMATS)
def test_too_many_pixels_are_refused(encoding: str) -> None:
    """By the header's size."""
    with pytest.raises(ImageTooLargeError, match="30 x 20"):
        decode(encode(PICTURE, encoding), 599)
    decode(encode(PICTURE, encoding), 600)


def test_a_bomb_is_refused_by_its_header_without_a_warning() -> None:
    """A few bytes that claim gigapixels cost nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageTooLargeError):
            decode(png(60_000, 60_000, 8, 2, (b"IDAT", b"")), 64_000_000)


def test_large_images_within_the_limit_cause_no_warning() -> None:
    """Our own limit rules, not Pillow's process-wide one."""
    big = Image.new("L", (14_000, 13_000), 5)
    assert decode(encode(big), 200_000_000).shape == (13_000, 14_000, 3)


def test_other_formats_are_refused_by_name() -> None:
    """GIF is an image, but not accepted."""
    with pytest.raises(FormatRefusedError, match="GIF"):
        decode(encode(PICTURE, "GIF"), LIMIT)


@pytest.mark.parametrize(
    "error",
    [
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        IndexError,
        KeyError,
        ZeroDivisionError,
        OverflowError,
        EOFError,
        NotImplementedError,
        MemoryError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ],
)
def test_whatever_pillow_says_of_a_file_is_the_callers_error(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its plugins raise all of these on malformed files; none of them is the service's own."""

    def fail(*_: object) -> None:
        raise error("odd")

    monkeypatch.setattr(decoding, "open_image", fail)
    with pytest.raises(ImageCorruptError, match="cannot be decoded"):
        decode(encode(PICTURE), LIMIT)


@settings(max_examples=300)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(8, 2000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_files_decode_or_are_refused(encoding: str, damage: list[tuple[int, int]]) -> None:
    """Whatever the bytes, the outcome is pixels or a request error, never another exception."""
    data = bytearray(encode(PICTURE, encoding))
    for position, value in damage:
        data[position % len(data)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata
        try:
            found = decode(bytes(data), LIMIT)
        except RequestError:
            return
    assert found.ndim == 3
    assert found.shape[2] == 3
