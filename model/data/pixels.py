"""Decode the image and the mask of a row.

Knows Pillow and the mask conventions of the data sets; knows no folder layout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ExifTags import Base as Tag
from PIL.TiffImagePlugin import TiffImageFile

from model.data.row import DataLayoutError, ManifestRow, spoken
from model.types import Sample

_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_WHITE_IS_ZERO = 0
_UNSIGNED, _SIGNED = 1, 2
_FLAT_GREY = 128
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_HALF = 128  # a JPEG's black is seldom all black: its masks are cut in the middle


def read_sample(row: ManifestRow, product: str | None = None) -> Sample:
    """Decode one row.

    The image is upright RGB: where the service accepts the file, as it decodes all pixels of it. An anomalous
    row's mask is None without a file and with one that marks nothing, of which published sets have a few:
    the defect is somewhere, and who finds it raises no false alarm.

    Args:
        row: of a manifest.
        product: spoken name to use instead of the row's.

    Raises:
        DataLayoutError: a file cannot be decoded, or mask and image differ in size.
    """
    image = read_image(row.image)
    shape = image.shape[:2]
    drawn = np.zeros(shape, dtype=np.bool_) if row.mask is None else read_mask(row.mask)
    if drawn.shape != shape:
        raise DataLayoutError(f"mask {row.mask} is {drawn.shape}, its image {row.image} is {shape}")
    return Sample(
        image=image,
        mask=None if row.anomalous and not drawn.any() else drawn,
        category=row.category,
        product=row.product if product is None else product,
        defect=None if row.defect is None else spoken(row.defect),
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image: EXIF rotation applied, transparency on white, deep grey scaled to its own range.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        DataLayoutError: the file cannot be decoded, Pillow would take its values for others or they are not
            numbers, or all of it is transparent.
    """
    with _opened(path) as image:
        if _is_misread(image):
            raise ValueError("signed values of 8 bits and unsigned ones of 32 come out wrong")
        inverted = _is_inverted(image)
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _DEEP_MODES:
            grey = _scale_to_8_bit(np.asarray(upright))
            return np.repeat((255 - grey if inverted else grey)[:, :, None], 3, axis=2)  # [H, W, 3]
        if upright.has_transparency_data:
            opaque = upright.convert("RGBA")
            if opaque.getchannel("A").getextrema()[1] == 0:  # refused by the service too
                raise DataLayoutError(f"{path} is transparent all over")
            white = Image.new("RGBA", opaque.size, "white")
            upright = Image.alpha_composite(white, opaque)
        return np.array(upright.convert("RGB"))


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Decode a mask: defective is what is not black, in a JPEG what is nearer to white.

    Colours are looked at, not palette numbers, and each channel by itself: (0, 0, 1) is not black.

    Returns:
        bool `[H, W]`.
    """
    with _opened(path) as mask:
        lossy = mask.format in ("JPEG", "MPO")
        upright = ImageOps.exif_transpose(mask)
        if upright.mode in _DEEP_MODES:
            return np.asarray(np.asarray(upright) != 0)
        brightest = np.asarray(upright.convert("RGB")).max(axis=2)  # [H, W, 3] -> [H, W]
        return np.asarray(brightest >= (_HALF if lossy else 1))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataLayoutError(f"{path} cannot be decoded: {error}") from error


def _is_misread(image: Image.Image) -> bool:
    """Tell whether Pillow takes a TIFF's values for others: bytes for unsigned, or 32 bits for signed."""
    if not isinstance(image, TiffImageFile):
        return False
    bits = max(image.tag_v2.get(Tag.BitsPerSample, (1,)))
    kind = max(image.tag_v2.get(Tag.SampleFormat, (_UNSIGNED,)))
    return (bits, kind) in ((8, _SIGNED), (32, _UNSIGNED))


def _is_inverted(image: Image.Image) -> bool:
    """Tell whether a TIFF says that zero is white; Pillow heeds that up to 8 bits only."""
    if not isinstance(image, TiffImageFile):
        return False
    return bool(image.tag_v2.get(Tag.PhotometricInterpretation) == _WHITE_IS_ZERO)


def _scale_to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    grey = values.astype(np.float32)
    low, high = float(grey.min()), float(grey.max())
    if not high - low < _FLOAT32_MAX:  # also true of NaN
        raise ValueError("it holds values that are not numbers")
    if low == high:
        return np.full(grey.shape, _FLAT_GREY, dtype=np.uint8)
    grey -= low
    grey *= 255.0 / (high - low)
    return np.rint(grey, out=grey).astype(np.uint8)
