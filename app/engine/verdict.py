"""OK or NG, and nothing else: a prediction that is no proper number never becomes an OK.

Knows scores and thresholds; knows no pictures.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Literal

import numpy as np

from app.errors import PredictionError
from app.runtime.protocol import Prediction

# float32 sums of weights that add up to 1 leave [0, 1] by a few units in the last place.
ROUNDING = 1e-4


class Result(StrEnum):
    """The verdict on one part."""

    OK = "OK"
    NG = "NG"

    @property
    def code(self) -> Literal[0, 1]:
        """The verdict as a number for PLCs; 2 is every error's."""
        return 1 if self is Result.NG else 0


def decide(score: float, threshold: float) -> Result:
    """Return NG for a score that reaches the threshold."""
    return Result.NG if score >= threshold else Result.OK


def checked(prediction: Prediction) -> Prediction:
    """Return the prediction with rounding errors clipped to [0, 1].

    Raises:
        PredictionError: a score or a map value is not a number in [0, 1], or the map is no picture.
    """
    anomaly_map = np.asarray(prediction.anomaly_map, dtype=np.float32)
    if anomaly_map.ndim != 2 or anomaly_map.size == 0:
        raise PredictionError(f"the anomaly map has shape {anomaly_map.shape}")
    scores = [prediction.score, prediction.score_global, prediction.score_local]
    bounds = [*scores, float(anomaly_map.min()), float(anomaly_map.max())]  # NaN passes through
    if not all(-ROUNDING <= value <= 1 + ROUNDING for value in bounds):
        raise PredictionError(f"scores and map bounds are {bounds}")
    score, score_global, score_local = (min(max(float(s), 0.0), 1.0) for s in scores)
    return replace(
        prediction,
        score=score,
        score_global=score_global,
        score_local=score_local,
        anomaly_map=np.clip(anomaly_map, 0.0, 1.0),
    )
