"""A JPEG far larger than what is looked at is decoded smaller, and nobody can tell by the answer."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.engine.decode import decode, decode_reduced
from app.engine.geometry import Box, Size
from app.engine.inspection import Inspection, Order
from app.engine.lifecycle import Engine
from app.engine.render import Heatmap, HeatmapKind, HeatmapOptions
from app.engine.state import State
from app.errors import ImageCorruptError, ParameterError
from app.settings import Settings
from tests.conftest import until
from tests.fakes import MAP_PX, FakeRuntime, encode

LIMIT = 10_000_000
NO_PICTURE = HeatmapOptions(HeatmapKind.NONE)


def picture(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """Return a bright part with a brighter blot, and fine grain all over."""
    rng = np.random.default_rng(3)
    values = rng.normal(60, 8, (height, width, 3))
    values[height // 4 : height // 2, width // 4 : width // 2] += 130
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("by", "progressive"), [(2, False), (4, False), (8, False), (8, True)])
def test_a_reduced_pixel_is_the_mean_of_those_it_stands_for(by: int, progressive: bool) -> None:
    """Within a grey level or two on average, colour and grey alike, in whatever order they were sent."""
    for image in (Image.fromarray(picture()), Image.fromarray(picture()).convert("L")):
        data = encode(image, "JPEG", quality=95, subsampling=0, progressive=progressive)
        whole = decode(data, LIMIT).astype(float)
        small, shrunk = decode_reduced(data, LIMIT, lambda _: by)
        means = whole.reshape(480 // by, by, 640 // by, by, 3).mean(axis=(1, 3))
        assert shrunk == by
        assert small.shape == means.shape
        assert np.abs(small - means).mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_asked_about_is_upright(orientation: int) -> None:
    """What is decided about areas is decided in the picture as it is looked at."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(), "JPEG", exif=exif.tobytes())
    asked: list[Size] = []

    def quarter(size: Size) -> int:
        asked.append(size)
        return 4

    small, _ = decode_reduced(data, LIMIT, quarter)
    upright = Size(480, 640) if orientation >= 5 else Size(640, 480)
    assert asked == [upright]
    assert small.shape == (upright.height // 4, upright.width // 4, 3)
    np.testing.assert_allclose(
        small.mean(), decode(data, LIMIT).mean(), atol=0.5
    )  # the same picture


@pytest.mark.parametrize("encoding", ["PNG", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_decoded_whole(encoding: str) -> None:
    """Nobody is even asked."""
    found, by = decode_reduced(encode(picture(), encoding), LIMIT, lambda _: 8)
    assert by == 1
    assert found.shape == (480, 640, 3)


def test_a_broken_jpeg_is_refused_at_any_size() -> None:
    """A cut file does not become a good small one."""
    data = encode(picture(), "JPEG")
    with pytest.raises(ImageCorruptError):
        decode_reduced(data[: len(data) // 2], LIMIT, lambda _: 4)


def _lossless(side: int) -> bytes:
    """Return a grey JPEG without cosine transform: each pixel equals the one before, which takes a zero bit."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    frame = segment(0xC3, struct.pack(">BHHB3B", 8, side, side, 1, 1, 0x11, 0))
    codes = segment(0xC4, bytes([0, 1, *15 * [0], 0]))
    scan = segment(0xDA, bytes([1, 1, 0, 1, 0, 0]))
    return b"\xff\xd8" + frame + codes + scan + bytes(side * side // 8) + b"\xff\xd9"


@pytest.mark.parametrize("hidden", [b"", b"\xff\xfe\0\x04hi", b"\xff\xfe\0\x04hi\0\0", b"\xff"])
def test_lossless_jpeg_is_decoded_whole(hidden: bytes) -> None:
    """Libjpeg does not make it smaller, and Pillow would let it write behind the smaller picture's memory."""
    lossless = _lossless(512)
    data = lossless[:2] + hidden + lossless[2:]
    found, by = decode_reduced(data, LIMIT, lambda _: 8)
    assert by == 1
    assert found.shape == (512, 512, 3)
    assert (found == 128).all()


class _Watched(FakeRuntime):
    """Remembers the pictures it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[NDArray[np.uint8]] = []

    def prepare(self, image: NDArray[np.uint8]) -> Any:
        """Note the picture."""
        self.given.append(image)
        return super().prepare(image)


async def _inspected(*orders: Order) -> tuple[list[Inspection], list[NDArray[np.uint8]]]:
    runtime = _Watched()
    engine = Engine(Settings())
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.given.clear()
        with engine.admitted() as inspector:
            return [await inspector.inspect(o) for o in orders], runtime.given


def _order(
    data: bytes, heatmap: HeatmapOptions = NO_PICTURE, roi: Box | None = None, threshold: float = 0
) -> Order:
    return Order(data, "x", threshold, heatmap, roi=roi)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("width", "height", "by"),
    [
        (MAP_PX * 32, MAP_PX * 32, 8),
        (MAP_PX * 32 - 8, MAP_PX * 32, 4),  # an eighth would not have four times the pixels
        (MAP_PX * 16, MAP_PX * 64, 4),  # the shorter side decides
        (MAP_PX * 32 + 4, MAP_PX * 32, 4),  # nothing is cut off at the edge
        (MAP_PX * 32 + 1, MAP_PX * 32, 1),
        (MAP_PX * 8 - 2, MAP_PX * 8, 1),
    ],
)
async def test_four_times_the_needed_pixels_stay(width: int, height: int, by: int) -> None:
    """The runtime gets a picture reduced as far as that, and answers in pixels of the sent one."""
    [found], [given] = await _inspected(_order(encode(picture(width, height), "JPEG")))
    assert given.shape == (height // by, width // by, 3)
    [region] = found.verdict.regions
    assert region.x == pytest.approx(width / 4, abs=width / MAP_PX)
    assert region.width == pytest.approx(width / 4, abs=width / MAP_PX)


@pytest.mark.anyio
async def test_an_inspected_area_lies_where_it_lay() -> None:
    """Its edges on whole small pixels, or the picture is decoded whole; the score is the lossless file's."""
    image = picture(1024, 768)
    even, odd = Box(256, 192, 512, 384), Box(255, 192, 512, 384)
    jpeg, png = encode(image, "JPEG", quality=95), encode(image)
    found, given = await _inspected(
        *(_order(data, roi=roi) for roi in (even, odd) for data in (jpeg, png))
    )
    assert [g.shape[0] for g in given] == [384 // 2, 384, 384, 384]
    for jpeg_answer, png_answer in zip(found[::2], found[1::2], strict=True):
        assert jpeg_answer.verdict.score == pytest.approx(png_answer.verdict.score, abs=0.005)
    with pytest.raises(ParameterError, match="does not lie within the image, which is 1024 x 768"):
        await _inspected(_order(jpeg, roi=Box(1000, 0, 256, 192)))


@pytest.mark.anyio
async def test_neither_score_nor_sharpness_depend_on_the_other() -> None:
    """The model gets the same pixels whatever is drawn; what is drawn has as many as the whole file gives."""
    image = picture(1024, 768)
    jpeg, png = encode(image, "JPEG", quality=95, subsampling=0), encode(image)
    sizes = (None, 1000, 512, 256, 64)
    overlays = [HeatmapOptions(HeatmapKind.OVERLAY, size_px=side) for side in sizes]
    found, given = await _inspected(
        *(_order(jpeg, o) for o in overlays), *(_order(png, o) for o in overlays)
    )
    assert [g.shape for g in given] == 5 * [(768 // 4, 1024 // 4, 3)] + 5 * [(768, 1024, 3)]
    assert len({f.verdict.score for f in found[:5]}) == 1
    for reduced, whole in zip(found[:5], found[5:], strict=True):
        drawn = [_pixels(f.verdict.heatmap) for f in (reduced, whole)]
        assert drawn[0].shape == drawn[1].shape
        assert np.abs(drawn[0].astype(int) - drawn[1]).mean() < 3


def _pixels(heatmap: Heatmap | None) -> NDArray[np.uint8]:
    assert heatmap is not None
    return decode(heatmap.data, LIMIT)
