"""The untrained baseline against hand-made pictures and another formulation."""

import numpy as np
from scipy.spatial.distance import cdist

from model.baselines.mahalanobis import (
    GRID,
    RIDGE,
    SIZE_PX,
    cell_features,
    mahalanobis,
    score_mahalanobis,
)
from model.types import Sample


def _sample(image: np.ndarray) -> Sample:
    mask = np.zeros(image.shape[:2], dtype=np.bool_)
    return Sample(image, mask, "x", "x", None)


def _grain(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(128, 10, (300, 400, 3))
    return noise.clip(0, 255).astype(np.uint8)


def test_distance_equals_scipys() -> None:
    """Standardised features, a ridge on the covariance, the root of the mean square per feature."""
    features = np.random.default_rng(0).normal(size=(200, 5)) * [1, 2, 3, 4, 5]
    standard = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-4)
    inverse = np.linalg.inv(standard.T @ standard / 200 + RIDGE * np.eye(5))
    expected = cdist(standard, np.zeros((1, 5)), "mahalanobis", VI=inverse)[:, 0] / np.sqrt(5)
    np.testing.assert_allclose(mahalanobis(features), expected, rtol=1e-9)


def test_a_spot_on_grain_is_found_where_it_is() -> None:
    """The marked picture scores above the plain one, and its map peaks on the mark."""
    marked = _grain(1)
    marked[100:130, 200:240] = 20
    plain, found = score_mahalanobis([_sample(_grain(1)), _sample(marked)])
    assert found.score > plain.score + 0.05
    assert found.anomaly_map.shape == (SIZE_PX, SIZE_PX)
    row, column = np.unravel_index(found.anomaly_map.argmax(), found.anomaly_map.shape)
    assert 100 * SIZE_PX / 300 - 8 <= row <= 130 * SIZE_PX / 300 + 8
    assert 200 * SIZE_PX / 400 - 8 <= column <= 240 * SIZE_PX / 400 + 8
    assert 0 <= found.anomaly_map.min() <= found.anomaly_map.max() <= 1


def test_a_flat_picture_is_no_trouble() -> None:
    """No variation, no division by zero, no anomaly."""
    flat = np.full((64, 64, 3), 90, dtype=np.uint8)
    (found,) = score_mahalanobis([_sample(flat)])
    assert found.score < 1e-3
    assert cell_features(np.full((SIZE_PX, SIZE_PX, 3), 90, np.uint8)).shape == (GRID**2, 21)
