"""Pictures whose brightness is their score, for reports and what they show."""

from collections.abc import Sequence

import numpy as np

from model.evaluate import ScoredImage
from model.types import Sample


def sample_of(category: str, defect: str | None, brightness: int) -> Sample:
    """Return a picture of one brightness; a defect takes its upper quarter."""
    mask = np.zeros((40, 60), dtype=np.bool_)
    mask[:10] = defect is not None
    image = np.full((40, 60, 3), brightness, dtype=np.uint8)
    return Sample(image, mask, category, category, defect)


def score(samples: Sequence[Sample]) -> list[ScoredImage]:
    """Score each picture by its brightness, and mark its upper quarter."""
    anomaly_map = np.zeros((8, 8), dtype=np.float32)
    anomaly_map[:2] = 1.0
    return [ScoredImage(float(s.image[0, 0, 0]) / 255.0, anomaly_map) for s in samples]
