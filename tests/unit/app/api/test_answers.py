"""Orders and answers: each number in its own place, in its own unit."""

import pytest

from app.api.forms import read_as
from app.api.schemas import Answer, DetectParameters, RegionAnswer, TimingAnswer
from app.engine.inspection import Inspection, StageTimes, Verdict
from app.engine.regions import Region
from app.engine.render import HeatmapKind
from app.engine.verdict import Result
from app.products.live import Basis
from tests.fakes import FakeRuntime

TIMES = StageTimes(decode=0.0011, queue=0.0022, inference=0.0033, render=0.0044)


def test_times_are_milliseconds_of_their_own_stage() -> None:
    """Whoever looks for the slow stage looks at the right one."""
    found = TimingAnswer.of(TIMES, 0.0123)
    assert found.model_dump() == {
        "decode": 1.1, "queue": 2.2, "inference": 3.3, "render": 4.4, "total": 12.3,
    }  # fmt: skip


def test_a_regions_area_is_that_of_its_pixels() -> None:
    """A scratch across a large box is small; its score has four decimals."""
    found = RegionAnswer.of(Region(1, 2, width=30, height=40, area_px=55, score=0.123456))
    assert found.model_dump() == {
        "x": 1, "y": 2, "width": 30, "height": 40, "area_px": 55, "score": 0.1235,
    }  # fmt: skip


def test_an_answer_names_each_score_and_the_whole_batch() -> None:
    """The global score is not the local one; the batch size is that of the batch it was computed in."""
    verdict = Verdict(
        Result.NG, 0.9, 0.123456, 0.654321, 0.123456789, "bundle", None, regions=[], heatmap=None
    )
    inspection = Inspection(verdict, FakeRuntime().info, TIMES, batch_size=7, basis=Basis())
    found = Answer.of(inspection, DetectParameters(), "id", 0.1)
    assert (found.score_global, found.score_local) == (0.1235, 0.6543)
    assert (found.threshold, found.batch_size) == (0.123456789, 7)


@pytest.mark.parametrize(
    ("profile", "kind"),
    [("full", HeatmapKind.MAP), ("plc", HeatmapKind.NONE), ("line", HeatmapKind.NONE)],
)
def test_no_heatmap_is_drawn_where_none_is_answered(profile: str, kind: HeatmapKind) -> None:
    """A PLC does not wait for a picture that it is not sent."""
    parameters = read_as(DetectParameters, [("profile", profile), ("heatmap", "map")])
    assert parameters.order(b"", 0.0).heatmap.kind == kind


def test_without_a_deadline_the_services_own_holds() -> None:
    """An operator's setting, in milliseconds, for callers who say nothing."""
    assert DetectParameters().deadline(100.0, 2500) == 102.5
    assert DetectParameters(deadline_ms=500).deadline(100.0, 2500) == 100.5


def test_an_order_keeps_what_its_batch_decides_by() -> None:
    """A calibration that ends meanwhile does not judge half of a tray by another threshold."""
    basis = Basis(label="nut")
    assert DetectParameters().order(b"", 0.0, basis).basis is basis
