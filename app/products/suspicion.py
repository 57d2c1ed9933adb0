"""What looks wrong with scores that are said to be of good parts: one that stands out, or two groups.

Knows two tests whose false alarms were counted, not guessed: a warning that comes every week is not read.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.01  # of either test
MOST_OUTSIDE = 5
_FEWEST = 12
_STEP = 1e-4  # scores may have been rounded to this
_REPLICATES, _GRID, _LARGEST_SAMPLE = 200, 200, 300
_GROUP, _VALLEY = 0.1, 0.5


def stands_out(scores: Sequence[float]) -> list[int]:
    """Return the indices of scores too far above the others, highest first; at most `MOST_OUTSIDE`.

    Rényi's representation: in a tail that falls exponentially the spacings r(S_(n-r+1) - S_(n-r)) are
    independent and exponential alike, so one of them over the mean of the m below it exceeds x with the chance
    (1 + x / m)^-m. Tails of the normal kind fall faster, and fire less often. The largest r that is significant
    at its part of LEVEL is taken.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    ranked = np.asarray(scores, dtype=np.float64)[order]
    if len(ranked) < _FEWEST:
        return []
    spacings = np.arange(1, len(ranked)) * (
        ranked[:-1] - ranked[1:]
    )  # r-th: between rank r and r + 1
    most, m = min(MOST_OUTSIDE, len(ranked) // 10), max(6, len(ranked) // 4)
    for r in range(most, 0, -1):
        usual = max(float(spacings[r : r + m].mean()), _STEP)
        if (1 + spacings[r - 1] / usual / m) ** -m < LEVEL / most:
            return [int(i) for i in order[:r]]
    return []


def in_two_groups(scores: Sequence[float]) -> bool:
    """Tell whether scores come from a distribution with two modes, a real valley between them.

    B. W. Silverman: Using kernel density estimates to investigate multimodality, JRSS B 43 (1981). The least
    bandwidth at which the density has one mode is the more surprising the more rarely samples of that very
    density, of the same size, need a larger one. On flat or lopsided distributions that test rings too often;
    so at the usual bandwidth either group must hold a tenth of the parts, and the valley fall to half of the
    lower peak.
    """
    sample = np.sort(np.asarray(scores, dtype=np.float64))
    if len(sample) > _LARGEST_SAMPLE:
        sample = np.quantile(sample, (np.arange(_LARGEST_SAMPLE) + 0.5) / _LARGEST_SAMPLE)
    if len(sample) < _FEWEST or np.ptp(sample) < 10 * _STEP:  # rounding makes groups of its own
        return False
    return _has_valley(sample) and _is_surprising(sample)


def _has_valley(sample: NDArray[np.float64]) -> bool:
    spread = min(float(sample.std()), float(np.subtract(*np.quantile(sample, (0.75, 0.25)))) / 1.34)
    width = max(0.9 * spread * len(sample) ** -0.2, _STEP)
    grid, density = _density(sample, width)
    below = np.searchsorted(sample, grid) / len(
        sample
    )  # share of the parts left of each grid point
    for i in np.flatnonzero((below >= _GROUP) & (below <= 1 - _GROUP)):
        if density[i] < _VALLEY * min(density[:i].max(), density[i:].max()):
            return True
    return False


def _is_surprising(sample: NDArray[np.float64]) -> bool:
    width = _critical_width(sample)
    rng = np.random.default_rng(0)
    shrink = np.sqrt(1 + width**2 / sample.var())  # so that smoothing does not widen it
    surprised = 0
    for _ in range(_REPLICATES):
        drawn = rng.choice(sample, len(sample)) + width * rng.standard_normal(len(sample))
        drawn = sample.mean() + (drawn - sample.mean()) / shrink
        surprised += _modes(drawn, width) > 1
        if surprised >= LEVEL * _REPLICATES:
            return False
    return True


def _critical_width(sample: NDArray[np.float64]) -> float:
    low, high = 0.0, float(np.ptp(sample))
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _modes(sample, middle) > 1 else (low, middle)
    return high


def _modes(sample: NDArray[np.float64], width: float) -> int:
    rises = np.sign(np.diff(_density(sample, width)[1]))
    rises = rises[rises != 0]
    return int(((rises[:-1] > 0) & (rises[1:] < 0)).sum())


def _density(
    sample: NDArray[np.float64], width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = np.linspace(sample.min() - width, sample.max() + width, _GRID)
    return grid, np.exp(-0.5 * ((grid[:, None] - sample) / width) ** 2).sum(axis=1)  # [GRID, n]
