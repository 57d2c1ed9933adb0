"""Whether a running line still scores like the good parts its threshold is from.

Knows bins, counts and one statistic, the population stability index

    PSI = sum over bins (p_i - q_i) ln(p_i / q_i),

q the shares of the n good parts, p those of the last m scores. Without drift PSI is distributed about like
(1/n + 1/m) chi-square with B - 1 degrees of freedom, so its mean is (B - 1)(1/n + 1/m): with few good parts the
customary limit 0.25 rings on noise. The limit here is that distribution's quantile. B. Yurdakul: Statistical
Properties of the Population Stability Index, Western Michigan University 2018.

Which scores count: all that were made with the profile's bundle and roi, of OK and NG parts alike. Leaving NG
parts out would blind it to the very drift that matters, towards rejects; and a usual share of bad parts moves
only the highest bin.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

WINDOW = 200
FEWEST = 50  # scores in the window before anything is said
LEVEL = 0.999  # the quantile: the window is looked at after every part
MOST_BINS, PER_BIN = 10, 10
BACK = 0.8  # of the limit: what hovers at the limit is said once
_HALF = 0.5  # added to each count (Jeffreys), so that an empty bin is no infinity


@dataclass(frozen=True)
class Bins:
    """Where scores are counted.

    Attributes:
        cuts: bounds between bins, ascending; a score on a bound counts to the bin above.
        shares: of the good parts, one more than there are cuts.
    """

    cuts: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """The index at one moment, and from where on it is no accident."""

    psi: float
    limit: float


def bins_of(scores: Sequence[float]) -> Bins:
    """Cut good parts into bins of about equally many, ten or more in each, three to ten of them.

    A bound lies between two different scores, so equal scores share a bin, and there may be fewer bins.
    """
    ranked = sorted(scores)
    count = len(ranked)
    wanted = min(MOST_BINS, max(3, count // PER_BIN))
    cuts: list[float] = []
    for i in range(1, wanted):
        place = round(i * count / wanted)
        while 0 < place < count and ranked[place] == ranked[place - 1]:
            place += 1
        if 0 < place < count:
            cuts.append((ranked[place - 1] + ranked[place]) / 2)
    kept = tuple(sorted(set(cuts)))
    counts = np.bincount(np.searchsorted(kept, ranked, side="right"), minlength=len(kept) + 1)
    return Bins(kept, tuple(float(c) for c in counts / count))


class DriftWatch:
    """The last scores of one product, against its profile's bins.

    Args:
        bins: of the good parts.
        count: how many good parts these were.
    """

    def __init__(self, bins: Bins, count: int) -> None:
        self._bins, self._count = bins, count
        self._window: deque[int] = deque()
        self._live = np.zeros(len(bins.shares))  # how many of the window are in each bin
        good = np.asarray(bins.shares) * count
        self._expected = (good + _HALF) / (count + len(bins.shares) * _HALF)
        freedom = max(1, len(bins.shares) - 1)
        self._quantile = float(special.chdtri(freedom, 1 - LEVEL))  # of chi-squared
        self._drifted = False

    def observe(self, score: float) -> bool | None:
        """Count one score in; return True when it begins to drift by it, False when that ends, None else."""
        found_in = bisect_right(self._bins.cuts, score)
        self._window.append(found_in)
        self._live[found_in] += 1
        if len(self._window) > WINDOW:
            self._live[self._window.popleft()] -= 1
        found = self.drift()
        if found is None:
            return None
        if not self._drifted and found.psi > found.limit:
            self._drifted = True
            return True
        if self._drifted and found.psi < BACK * found.limit:
            self._drifted = False
            return False
        return None

    def drift(self) -> Drift | None:
        """Return the index, once there are scores enough; None too where all good parts scored the same."""
        size, bins = len(self._window), len(self._bins.shares)
        if size < FEWEST or bins < 2:
            return None
        p, q = (self._live + _HALF) / (size + bins * _HALF), self._expected
        psi = float(((p - q) * np.log(p / q)).sum())
        return Drift(psi, (1 / self._count + 1 / size) * self._quantile)
