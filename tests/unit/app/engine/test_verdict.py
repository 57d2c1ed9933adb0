"""The decision: at the threshold is NG, and what is no number is no OK."""

import numpy as np
import pytest

from app.engine.verdict import Result, checked, decide
from app.errors import PredictionError
from app.runtime.protocol import Prediction


def test_a_score_at_the_threshold_is_ng() -> None:
    """Doubt goes against the part."""
    assert decide(0.5, 0.5) is Result.NG
    assert decide(0.4999, 0.5) is Result.OK
    assert decide(0.0, 0.0) is Result.NG


def test_result_codes() -> None:
    """0 OK, 1 NG; 2 belongs to errors."""
    assert (Result.OK.code, Result.NG.code) == (0, 1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), -0.0002, 1.0002])
def test_what_is_no_score_is_an_error(bad: float) -> None:
    """NaN compares false with every threshold; it must never come out as OK."""
    for scores in ((bad, 0.5, 0.5), (0.5, bad, 0.5), (0.5, 0.5, bad)):
        with pytest.raises(PredictionError):
            checked(Prediction(*scores, np.full((4, 4), 0.5, dtype=np.float32)))
    anomaly_map = np.full((4, 4), 0.5, dtype=np.float32)
    anomaly_map[1, 2] = bad
    with pytest.raises(PredictionError):
        checked(Prediction(0.5, 0.5, 0.5, anomaly_map))


def test_rounding_beyond_the_bounds_is_clipped() -> None:
    """A few units in the last place are no error."""
    anomaly_map = np.array([[-0.00001, 0.25, 1.00001]], dtype=np.float32)
    for scores, clipped in (
        ((1.00001, -0.00001, 0.25), (1.0, 0.0, 0.25)),
        ((-0.00001, 0.25, 1.00001), (0.0, 0.25, 1.0)),
    ):
        found = checked(Prediction(*scores, anomaly_map))
        assert (found.score, found.score_global, found.score_local) == clipped
        assert found.anomaly_map.tolist() == [[0.0, 0.25, 1.0]]


@pytest.mark.parametrize("shape", [(0, 4), (4,), (1, 4, 4)])
def test_a_map_that_is_no_picture_is_an_error(shape: tuple[int, ...]) -> None:
    """Wrong shapes stop at the engine's door."""
    with pytest.raises(PredictionError, match="shape"):
        checked(Prediction(0.5, 0.5, 0.5, np.zeros(shape, dtype=np.float32)))
