"""Values of parameters at the edge of their ranges: taken as they are, or refused by name."""

import pytest

from app.api.forms import read_as
from app.api.schemas import DetectParameters
from app.engine.geometry import Box
from app.errors import ParameterError


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("threshold", "0", 0.0),
        ("threshold", "1", 1.0),
        ("threshold", "1.", 1.0),
        ("threshold", "5E-1", 0.5),
        ("threshold", "0.05e+1", 0.5),
        ("threshold", "0.5".ljust(64, "0"), 0.5),
        ("sequence", "17".zfill(20), 17),
        ("product", "x" * 128, "x" * 128),
        ("product", "  nut ", "nut"),
        ("part_id", "x" * 128, "x" * 128),
        ("image_path", "x" * 1024, "x" * 1024),
        ("roi", "12000,9000,10000,8000", Box(12000, 9000, 10000, 8000)),
        ("heatmap_size", "16", 16),
        ("heatmap_size", "4096", 4096),
        ("deadline_ms", "1", 1),
        ("deadline_ms", "3600000", 3_600_000),
    ],
)
def test_the_last_value_that_is_allowed_is_taken(name: str, sent: str, value: object) -> None:
    """Ranges end where they are documented to, and numbers are read as callers write them."""
    assert getattr(read_as(DetectParameters, [(name, sent)]), name) == value


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("threshold", "0.5".ljust(65, "0")),
        ("sequence", 17.0),
        ("image_path", "x" * 1025),
        ("heatmap_size", "15"),
        ("heatmap_size", "4097"),
        ("sequence", str(-(2**63) - 1)),
    ],
)
def test_the_first_value_that_is_not_allowed_is_refused(name: str, sent: object) -> None:
    """By name; a sequence of 17.0 is no counter's."""
    with pytest.raises(ParameterError, match=f"^{name}"):
        read_as(DetectParameters, [(name, sent)])


@pytest.mark.parametrize(
    ("sent", "size_px"),
    [([], 512), ([("heatmap_size", "original")], None)],
    ids=["none", "original"],
)
def test_a_heat_map_is_no_smaller_than_was_asked(
    sent: list[tuple[str, object]], size_px: int | None
) -> None:
    """The sent image's longest side, however long; without a word 512 px."""
    order = read_as(DetectParameters, sent).order(b"", 0.0)
    assert order.heatmap.size_px == size_px


@pytest.mark.parametrize(
    ("sent", "expected"), [([], 10.5), ([("deadline_ms", "1500")], 11.5)], ids=["default", "asked"]
)
def test_a_deadline_counts_from_arrival_in_milliseconds(
    sent: list[tuple[str, object]], expected: float
) -> None:
    """Whenever it is looked at; the service's own is taken where there is none."""
    assert read_as(DetectParameters, sent).deadline(10.0, 500) == expected
