"""Boxes as text, and where they come to lie in another size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.geometry import Box, Size, scaled
from app.engine.render import HeatmapOptions, heatmap_size


def test_a_box_has_one_text_however_it_was_written() -> None:
    """A profile's threshold decides where its roi's text is the request's."""
    assert str(Box(40, 30, 200, 100)) == "40,30,200,100"
    assert Box.parse(" 40, 30 ,0200,100 ") == Box(40, 30, 200, 100)
    for empty in ("0,0,0,5", "0,0,5,0"):
        with pytest.raises(ValueError, match="1 or more"):
            Box.parse(empty)


@given(st.data())
def test_a_scaled_area_lies_in_the_heat_map(data: st.DataObject) -> None:
    """Never empty, never outside, whatever the sizes."""
    width, height = (data.draw(st.integers(1, 8000)) for _ in range(2))
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    area = Box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    drawn = heatmap_size(
        Size(width, height), HeatmapOptions(size_px=data.draw(st.integers(16, 512)))
    )
    found = scaled(area, Size(width, height), drawn)
    assert min(found.x, found.y) >= 0
    assert min(found.width, found.height) >= 1
    assert found.x + found.width <= drawn.width
    assert found.y + found.height <= drawn.height


def test_the_last_column_of_a_wide_picture_is_drawn_in_the_last_one() -> None:
    """Rounded, it would lie beyond."""
    found = scaled(Box(7999, 99, 1, 1), Size(8000, 100), Size(16, 2))
    assert found == Box(15, 1, 1, 1)


def test_a_scaled_area_ends_at_the_nearest_pixels() -> None:
    """From 1.6 to 3.6 across, from 0.8 to 2.8 down; all of the picture is all of the drawing."""
    image, drawn = Size(10, 10), Size(4, 4)
    assert scaled(Box(4, 2, 5, 5), image, drawn) == Box(2, 1, 2, 2)
    wide = Size(30, 20)
    assert scaled(Box.whole(wide), wide, Size(15, 10)) == Box(0, 0, 15, 10)
