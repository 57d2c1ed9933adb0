"""Heat maps: sizes, formats, and that the picture stays recognisable."""

import io

import numpy as np
import pytest
from PIL import Image

from app.engine.geometry import Box, Size
from app.engine.render import (
    HeatmapFormat,
    HeatmapKind,
    HeatmapOptions,
    heatmap_size,
    render,
    shrink,
)
from app.errors import ParameterError
from tests.fakes import encode


def _opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _map(hot: float = 1.0) -> np.ndarray:
    anomaly_map = np.zeros((32, 32), dtype=np.float32)
    anomaly_map[:, 16:] = hot
    return anomaly_map


SIZE = Size(64, 48)
WHOLE = Box(0, 0, 64, 48)
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def _drawn(kind: HeatmapKind, encoding: HeatmapFormat = HeatmapFormat.PNG) -> Image.Image:
    options = HeatmapOptions(kind, encoding)
    found = render(_map(), 0.5, SIZE, WHOLE, options, shrink(PICTURE, SIZE))
    assert found is not None
    assert found.media_type == f"image/{encoding}"
    assert (found.size, found.kind) == (SIZE, kind)
    picture = _opened(found.data)
    assert picture.size == (64, 48)
    assert picture.format == encoding.upper()
    return picture


@pytest.mark.parametrize("encoding", HeatmapFormat)
@pytest.mark.parametrize("kind", [HeatmapKind.OVERLAY, HeatmapKind.MAP, HeatmapKind.MASK])
def test_each_kind_in_each_format(kind: HeatmapKind, encoding: HeatmapFormat) -> None:
    """What was asked for is what decodes."""
    _drawn(kind, encoding)


def test_overlay_leaves_normal_areas_as_they_are_and_tints_the_rest() -> None:
    """Where the map is zero, the sent picture is unchanged; where it is hot, red prevails but detail stays."""
    drawn = np.asarray(_drawn(HeatmapKind.OVERLAY).convert("RGB"), dtype=np.float32)
    np.testing.assert_array_equal(drawn[:, :30], PICTURE[:, :30])
    hot, was = drawn[:, 36:], PICTURE[:, 36:]
    assert hot[..., 0].mean() > was[..., 0].mean() + 40
    assert hot[..., 2].mean() < was[..., 2].mean() - 40
    detail = np.corrcoef(hot[..., 1].ravel(), was[..., 1].ravel())[0, 1]
    assert detail > 0.99


def test_overlay_colours_are_absolute() -> None:
    """A faint map stays faint: a good part does not look alarming because its own peak was stretched."""
    options = HeatmapOptions()
    faint = render(_map(0.05), 0.5, SIZE, WHOLE, options, shrink(PICTURE, SIZE))
    strong = render(_map(1.0), 0.5, SIZE, WHOLE, options, shrink(PICTURE, SIZE))
    assert faint is not None
    assert strong is not None
    changed = [
        np.abs(np.asarray(_opened(h.data), dtype=np.int16) - PICTURE).mean()
        for h in (faint, strong)
    ]
    assert changed[0] < changed[1] / 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, (100, 100, 100)),
        (0.15, (105, 108, 104)),
        (0.3, (150, 139, 67)),
        (0.6, (201, 35, 35)),
        (1.0, (201, 35, 35)),
    ],
)
def test_overlay_is_yellow_at_the_threshold_and_red_from_twice_on(
    value: float, expected: tuple[int, int, int]
) -> None:
    """By hand, on grey 100: 0.65 of (255, 0, 0), half of it of (255, 220, 0), a quarter of (128, 150, 127)."""
    anomaly_map = np.full((4, 4), value, dtype=np.float32)
    picture = Image.new("RGB", (4, 4), (100, 100, 100))
    found = render(anomaly_map, 0.3, Size(4, 4), Box(0, 0, 4, 4), HeatmapOptions(), picture)
    assert found is not None
    assert _opened(found.data).getpixel((0, 0)) == expected


def test_a_pixel_at_the_threshold_is_anomalous() -> None:
    """In the mask as in regions; with a threshold of 0 all pixels are, and nothing divides by it."""
    anomaly_map = np.array([[0.5, 0.25]], dtype=np.float32)
    for threshold, expected in ((0.5, [255, 0]), (0.0, [255, 255])):
        options, size = HeatmapOptions(HeatmapKind.MASK), Size(2, 1)
        found = render(anomaly_map, threshold, size, Box(0, 0, 2, 1), options, None)
        assert found is not None
        assert np.asarray(_opened(found.data))[0].tolist() == expected
    picture = Image.new("RGB", (2, 1))
    nothing = np.zeros((1, 2), dtype=np.float32)
    assert render(nothing, 0.0, Size(2, 1), Box(0, 0, 2, 1), HeatmapOptions(), picture) is not None


def test_map_is_grey_and_mask_is_black_and_white() -> None:
    """Eight-bit grey, full scale 1.0; the mask is the map at its threshold."""
    grey = _drawn(HeatmapKind.MAP)
    assert grey.mode == "L"
    assert (grey.getpixel((0, 0)), grey.getpixel((63, 0))) == (0, 255)
    mask = _drawn(HeatmapKind.MASK)
    assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_map_is_rounded_and_smooth() -> None:
    """Nearest of 256 levels; between two cells' centres in a straight line."""
    for values, width, expected in (
        ([0.0, 0.25, 0.999, 1.0], 4, [0, 64, 255, 255]),
        ([0.0, 1.0], 4, [0, 64, 191, 255]),
    ):
        anomaly_map, area = np.array([values], dtype=np.float32), Box(0, 0, width, 1)
        options = HeatmapOptions(HeatmapKind.MAP)
        found = render(anomaly_map, 0.5, Size(width, 1), area, options, None)
        assert found is not None
        assert np.asarray(_opened(found.data)).tolist() == [expected]


@pytest.mark.parametrize(
    ("encoding", "how"),
    [
        (HeatmapFormat.JPEG, {"quality": 90}),
        (HeatmapFormat.WEBP, {"quality": 85, "method": 2}),
    ],
)
def test_lossy_formats_have_their_quality(encoding: HeatmapFormat, how: dict[str, int]) -> None:
    """Pillow's own would smear small spots, or take its time."""
    grey = PICTURE[..., 0]
    options = HeatmapOptions(HeatmapKind.MAP, encoding)
    found = render((grey / 255).astype(np.float32), 0.5, SIZE, WHOLE, options, None)
    assert found is not None
    assert found.data == encode(grey, encoding, **how)


def test_a_smaller_picture_is_a_mean_over_pixels() -> None:
    """Stripes of one pixel become grey; every second column alone would be black."""
    stripes = np.zeros((8, 64, 3), dtype=np.uint8)
    stripes[:, 1::2] = 255
    small = np.asarray(shrink(stripes, Size(32, 4)))
    assert small.shape == (4, 32, 3)
    assert 100 < small.min() <= small.max() < 155


def test_outside_the_inspected_area_the_map_is_black() -> None:
    """The heat map covers the sent image, so that it can be laid over it."""
    anomaly_map = np.ones((8, 8), dtype=np.float32)
    area = Box(16, 8, 32, 20)
    found = render(anomaly_map, 0.5, SIZE, area, HeatmapOptions(HeatmapKind.MAP), None)
    assert found is not None
    drawn = np.asarray(_opened(found.data))
    expected = np.zeros((48, 64))
    expected[8:28, 16:48] = 255
    np.testing.assert_array_equal(drawn, expected)


def test_none_draws_nothing() -> None:
    """No time is spent on a picture nobody wants."""
    assert render(_map(), 0.5, SIZE, WHOLE, HeatmapOptions(HeatmapKind.NONE), None) is None


@pytest.mark.parametrize(
    ("image", "wanted", "expected"),
    [
        (Size(1000, 500), 512, Size(512, 256)),
        (Size(500, 1000), 512, Size(256, 512)),
        (Size(100, 50), 512, Size(100, 50)),
        (Size(3000, 2), 512, Size(512, 1)),
        (Size(2, 3000), 512, Size(1, 512)),
        (Size(1000, 667), 512, Size(512, 342)),
        (Size(667, 1000), 512, Size(342, 512)),
        (Size(1000, 500), None, Size(1000, 500)),
    ],
)
def test_size_keeps_the_aspect_ratio_and_never_enlarges(
    image: Size, wanted: int | None, expected: Size
) -> None:
    """The longest side is what was asked for, or the image's own."""
    assert heatmap_size(image, HeatmapOptions(size_px=wanted)) == expected


@pytest.mark.parametrize(
    ("encoding", "longest"), [(HeatmapFormat.WEBP, 16_383), (HeatmapFormat.JPEG, 65_500)]
)
def test_a_size_the_encoder_cannot_hold_is_refused(encoding: HeatmapFormat, longest: int) -> None:
    """One pixel less is drawn."""
    options = HeatmapOptions(HeatmapKind.MAP, encoding, None)
    with pytest.raises(ParameterError, match=f"{encoding} cannot hold {longest + 1} px"):
        heatmap_size(Size(longest + 1, 2), options)
    size = heatmap_size(Size(longest, 1), options)
    found = render(_map(), 0.5, size, Box(0, 0, longest, 1), options, None)
    assert found is not None
    assert _opened(found.data).size == (longest, 1)
