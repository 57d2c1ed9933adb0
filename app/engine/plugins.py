"""Pillow's five plugins, opened by name and kept from unpacking metadata.

Knows where Pillow keeps what it found beside the pixels. Of EXIF only the orientation is read: Pillow would
copy every tag's value, though 65,535 tags may name the same megabyte.
"""

import re
from collections.abc import Callable
from io import BytesIO
from types import MappingProxyType

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base as Tag
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.engine.formats import ImageFormat
from app.engine.headers import (
    check_bmp,
    check_jpeg,
    check_png,
    check_tiff,
    png_depth,
    read_orientation,
)

_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_WHITE_IS_ZERO = 0
_UNSIGNED, _SIGNED = 1, 2


class _OrientationOnly(ImageFile):
    """Makes Pillow believe that the orientation is all the EXIF there is."""

    def getexif(self) -> Image.Exif:
        """Return the orientation alone, from EXIF or else from XMP."""
        orientation = read_orientation(self._exif_block())
        if orientation is None and (found := _XMP_ORIENTATION.search(self._xmp_packet())):
            orientation = int(found[1])
        return _exif(orientation)

    def _exif_block(self) -> bytes:
        block = self.info.get("exif")
        if isinstance(block, bytes):
            return block
        profile = self.info.get("Raw profile type exif")  # ImageMagick's PNG: three lines, then hex
        return bytes.fromhex(profile.split("\n", 3)[-1]) if isinstance(profile, str) else b""

    def _xmp_packet(self) -> bytes:
        packet = self.info.get("xmp") or self.info.get("XML:com.adobe.xmp", b"")
        return packet.encode() if isinstance(packet, str) else bytes(packet)


class _Png(_OrientationOnly, PngImageFile): ...


class _Jpeg(_OrientationOnly, JpegImageFile): ...


class _WebP(_OrientationOnly, WebPImageFile): ...


class _Tiff(TiffImageFile):
    def getexif(self) -> Image.Exif:
        """Return the orientation, which Pillow forgets once it has turned the picture; follow no pointers."""
        return _exif(self.tag_v2.get(Tag.Orientation))


def _exif(orientation: int | None) -> Image.Exif:
    exif = Image.Exif()
    if orientation is not None:
        exif[Tag.Orientation] = orientation
    return exif


# Called by name, not through Image.open: that would let the bytes choose among formats, read a JPEG's second
# picture (MPO), and judge sizes by a process-wide limit instead of ours.
_OPENERS: MappingProxyType[ImageFormat, Callable[[BytesIO], ImageFile]] = MappingProxyType(
    {
        ImageFormat.PNG: _Png,
        ImageFormat.JPEG: _Jpeg,
        ImageFormat.BMP: BmpImageFile,
        ImageFormat.TIFF: _Tiff,
        ImageFormat.WEBP: _WebP,
    }
)
_CHECKS: MappingProxyType[ImageFormat, Callable[[bytes], None]] = MappingProxyType(
    {
        ImageFormat.PNG: check_png,
        ImageFormat.JPEG: check_jpeg,
        ImageFormat.BMP: check_bmp,
        ImageFormat.TIFF: check_tiff,
    }
)


def open_image(data: bytes, kind: ImageFormat) -> ImageFile:
    """Open an image; its header is checked and read, its pixels are not.

    Raises:
        RequestError: the header asks for far more than the file can be worth.
        Exception: whatever Pillow raises on malformed files.
    """
    if kind in _CHECKS:
        _CHECKS[kind](data)
    return _OPENERS[kind](BytesIO(data))


def depth_bits(image: ImageFile, data: bytes) -> int:
    """Return the bits of one channel as the file stores it; Pillow may keep fewer."""
    if isinstance(image, PngImageFile):
        return png_depth(data)
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(Tag.BitsPerSample, (1,))))
    return 8


def is_misread(image: ImageFile) -> bool:
    """Tell whether Pillow takes a TIFF's values for others: bytes for unsigned, or 32 bits for signed."""
    if not isinstance(image, TiffImageFile):
        return False
    bits = max(image.tag_v2.get(Tag.BitsPerSample, (1,)))
    kind = max(image.tag_v2.get(Tag.SampleFormat, (_UNSIGNED,)))
    return (bits, kind) in ((8, _SIGNED), (32, _UNSIGNED))


def is_inverted(image: ImageFile) -> bool:
    """Tell whether a TIFF says that zero is white; Pillow heeds that up to 8 bits only."""
    if not isinstance(image, TiffImageFile):
        return False
    return bool(image.tag_v2.get(Tag.PhotometricInterpretation) == _WHITE_IS_ZERO)
