"""A baseline that has learned nothing: a filter bank and each cell's distance to the rest of its own image.

What a trained model adds is what it scores above this. Knows pixels only; knows neither towers nor text.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.evaluate import ScoredImage
from model.types import Sample

SIZE_PX = 256
GRID = 32
SIGMAS_PX = (1.0, 2.0, 4.0)
TOP_CELLS = 10  # one in a hundred; their mean judges the image
RIDGE = 0.05


def score_mahalanobis(samples: Sequence[Sample]) -> list[ScoredImage]:
    """Score images by `d / (1 + d)`, d the Mahalanobis distance of their oddest cells to their own mean."""
    return [_score(sample.image) for sample in samples]


def _score(image: NDArray[np.uint8]) -> ScoredImage:
    squared = cv2.resize(image, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    odd = mahalanobis(cell_features(np.asarray(squared, dtype=np.uint8)))  # [N]
    odd /= 1.0 + odd
    score = float(np.sort(odd)[-TOP_CELLS:].mean())
    grid = odd.reshape(GRID, GRID).astype(np.float32)
    anomaly_map = cv2.resize(grid, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR)
    return ScoredImage(score, np.asarray(anomaly_map, dtype=np.float32))


def cell_features(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return mean filter responses of each cell, `[GRID * GRID, 21]`, of an RGB image `[256, 256, 3]`.

    At each scale: the gradient's two sizes, the Laplacian and its size, and two more sizes of second
    derivatives; then brightness and two colour differences.
    """
    pixels = image.astype(np.float32) / 255.0
    light = pixels.mean(axis=2)
    responses = [r for sigma in SIGMAS_PX for r in _responses(light, sigma)]
    responses += [light, pixels[..., 0] - light, pixels[..., 2] - light]
    stacked = np.stack(responses, axis=-1).astype(np.float64)
    side = SIZE_PX // GRID
    cells = stacked.reshape(GRID, side, GRID, side, -1).mean(axis=(1, 3))
    return np.asarray(cells.reshape(GRID * GRID, -1))


def _responses(light: NDArray[np.float32], sigma: float) -> list[NDArray[np.float32]]:
    smooth = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    x, y, xx, yy, xy = (
        np.asarray(
            cv2.Sobel(smooth, cv2.CV_32F, dx, dy, ksize=3, borderType=cv2.BORDER_REFLECT),
            dtype=np.float32,
        )
        for dx, dy in ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1))
    )
    return [abs(x), abs(y), xx + yy, abs(xx + yy), abs(xx - yy), abs(xy)]


def mahalanobis(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's Mahalanobis distance to the mean of all rows, `[N]` of `[N, K]`.

    Per feature, on standardised features, with a ridge on their covariance.
    """
    standard = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-4)
    covariance = standard.T @ standard / len(standard) + RIDGE * np.eye(standard.shape[1])
    squared = np.einsum("nk,kl,nl->n", standard, np.linalg.inv(covariance), standard)
    return np.asarray(np.sqrt(squared / standard.shape[1]))
