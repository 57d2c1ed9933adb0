"""Regions in pixels of the sent image, against hand-computed boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.engine.geometry import Box
from app.engine.regions import MAX_REGIONS, Region, find_regions


def test_one_box_is_scaled_by_x_and_y_apart() -> None:
    """A map covers the whole image, whatever its aspect ratio."""
    anomaly_map = np.zeros((10, 10), dtype=np.float32)
    anomaly_map[2:4, 5:8] = 0.9
    anomaly_map[3, 6] = 0.95
    found = find_regions(anomaly_map, 0.5, Box(0, 0, 200, 50))
    score = float(np.float32(0.95))
    assert found == [Region(x=100, y=10, width=60, height=10, area_px=600, score=score)]


def test_boxes_of_a_part_of_the_image_are_the_images() -> None:
    """Coordinates count from the sent image's corner, not from the inspected area's."""
    anomaly_map = np.zeros((10, 10), dtype=np.float32)
    anomaly_map[2:4, 5:8] = 0.9
    (found,) = find_regions(anomaly_map, 0.5, Box(30, 7, 20, 10))
    assert (found.x, found.y, found.width, found.height, found.area_px) == (40, 9, 6, 2, 12)


def test_corners_join_and_gaps_part_and_the_worst_comes_first() -> None:
    """Eight neighbours make one region."""
    anomaly_map = np.zeros((10, 10), dtype=np.float32)
    anomaly_map[0, 0] = anomaly_map[1, 1] = 0.6
    anomaly_map[8, 8] = 0.8
    found = find_regions(anomaly_map, 0.5, Box(0, 0, 10, 10))
    assert [(r.x, r.y, r.width, r.height, r.area_px) for r in found] == [
        (8, 8, 1, 1, 1),
        (0, 0, 2, 2, 2),
    ]


def test_below_the_threshold_the_peak_is_shown() -> None:
    """An NG that rests on the global score still points at the most suspicious place."""
    anomaly_map = np.full((10, 10), 0.01, dtype=np.float32)
    anomaly_map[4, 4] = 0.2
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 10, 10))
    assert (found.x, found.y, found.width, found.height) == (4, 4, 1, 1)


def test_below_the_threshold_half_of_the_peak_is_where_it_ends() -> None:
    """A peak's tip alone would be a place of one cell; all of the map would be none."""
    anomaly_map = np.full((10, 10), 0.09, dtype=np.float32)
    anomaly_map[4, 3:6] = 0.11
    anomaly_map[4, 4] = 0.2
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 10, 10))
    assert (found.x, found.y, found.width, found.height) == (3, 4, 3, 1)


def test_a_peak_at_the_threshold_is_not_below_it() -> None:
    """Half of it would mark what the threshold leaves out."""
    anomaly_map = np.full((10, 10), 0.3, dtype=np.float32)
    anomaly_map[4, 4] = 0.5
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 10, 10))
    assert (found.x, found.y, found.width, found.height) == (4, 4, 1, 1)


def test_a_map_without_signal_has_no_region() -> None:
    """Nothing to point at."""
    assert find_regions(np.zeros((10, 10), dtype=np.float32), 0.5, Box(0, 0, 10, 10)) == []


def test_specks_are_dropped_unless_there_is_nothing_else() -> None:
    """One map cell of a fine map is the tip of a peak, not a place to look at."""
    anomaly_map = np.zeros((200, 200), dtype=np.float32)
    anomaly_map[0, 0] = 1.0
    assert len(find_regions(anomaly_map, 0.5, Box(0, 0, 200, 200))) == 1
    anomaly_map[100:110, 100:110] = 0.9
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 200, 200))
    assert (found.x, found.y) == (100, 100)


def test_a_ten_thousandth_of_the_map_is_no_speck() -> None:
    """Four cells of 40,000 are a place, three are not."""
    anomaly_map = np.zeros((200, 200), dtype=np.float32)
    anomaly_map[50, 50:53] = 1.0
    anomaly_map[100:102, 100:102] = 0.9
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 200, 200))
    assert (found.x, found.y, found.area_px) == (100, 100, 4)


def test_of_specks_alone_the_worst_is_shown() -> None:
    """An NG points somewhere, not everywhere."""
    anomaly_map = np.zeros((200, 200), dtype=np.float32)
    anomaly_map[10, 10], anomaly_map[20, 20], anomaly_map[30, 30] = 0.8, 0.9, 0.7
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 200, 200))
    assert (found.x, found.y) == (20, 20)


def test_boxes_are_rounded_outwards_and_areas_to_the_nearest_pixel() -> None:
    """Cells 2 and 3 of 1.3 px lie between 2.6 and 5.2 px; four of them are 6.76 px."""
    anomaly_map = np.zeros((10, 10), dtype=np.float32)
    anomaly_map[2:4, 2:4] = 1.0
    (found,) = find_regions(anomaly_map, 0.5, Box(0, 0, 13, 13))
    assert found == Region(x=2, y=2, width=4, height=4, area_px=7, score=1.0)


def test_a_box_at_the_edge_is_not_rounded_beyond_it() -> None:
    """56 times 29 / 56 is a little more than 29 in binary numbers."""
    (found,) = find_regions(np.ones((56, 56), dtype=np.float32), 0.5, Box(3, 4, 29, 58))
    assert (found.x, found.y, found.width, found.height) == (3, 4, 29, 58)


def test_of_many_regions_the_worst_are_named() -> None:
    """A hundred spots, the answer's share of them: those with the highest scores."""
    anomaly_map = np.zeros((20, 20), dtype=np.float32)
    scores = np.linspace(0.5, 1.0, 100, dtype=np.float32)
    anomaly_map[::2, ::2] = scores.reshape(10, 10)
    found = find_regions(anomaly_map, 0.5, Box(0, 0, 20, 20))
    assert [r.score for r in found] == sorted(scores.tolist(), reverse=True)[:MAX_REGIONS]


@pytest.mark.parametrize("spots", [32, 33])
def test_32_regions_are_named_and_of_equals_the_upper_ones(spots: int) -> None:
    """The same picture has the same answer each time."""
    anomaly_map = np.zeros((2 * spots, 4), dtype=np.float32)
    anomaly_map[::2, 1] = 0.9
    found = find_regions(anomaly_map, 0.5, Box(0, 0, 4, 2 * spots))
    assert [r.y for r in found] == [2 * number for number in range(32)]


@given(
    hnp.arrays(np.float32, (12, 16), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_boxes_lie_in_the_image_whatever_the_map(
    anomaly_map: np.ndarray, threshold: float, width: int, height: int
) -> None:
    """Never outside, never empty, sorted, bounded."""
    found = find_regions(anomaly_map, threshold, Box(0, 0, width, height))
    assert len(found) <= MAX_REGIONS
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    for region in found:
        assert region.x >= 0
        assert region.y >= 0
        assert region.x + region.width <= width
        assert region.y + region.height <= height
        assert min(region.width, region.height, region.area_px) >= 1
        assert 0 < region.score <= 1
    assert bool(found) == bool(anomaly_map.max() > 0)
