"""Exporting: what the thresholds of a bundle are chosen by."""

from collections.abc import Sequence

import numpy as np
import pytest

from model import export
from model.assembly import SSVP
from model.evaluate import ScoredImage
from model.export import choose_thresholds
from model.types import Sample
from tests.configs import MICRO


def test_a_perfect_map_has_a_perfect_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that says 0.9 of marked pixels and 0.1 of others: map and mask are read at the same pixels."""

    def predict(model: SSVP, samples: Sequence[Sample]) -> list[ScoredImage]:
        said = np.where(samples[0].marked, 0.9, 0.1).astype(np.float32)
        return [ScoredImage(float(said.max()), said)]

    monkeypatch.setattr(export, "predict_torch", predict)
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.bool_)
    mask[:32, 0::4] = mask[32:, 2::4] = (
        True  # lines of one pixel: two pixels on all is the other way round
    )
    normal = Sample(image, np.zeros_like(mask), "nut", "nut", None)
    anomalous = Sample(image, mask, "nut", "nut", "hole")
    found = choose_thresholds(SSVP(MICRO), [normal, anomalous])
    assert (found.image, found.pixel) == pytest.approx((0.5, 0.9))
