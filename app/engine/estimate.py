"""How long a batch will take, from how long batches took.

Knows sizes and seconds; knows neither queries nor threads.
"""

import math
import statistics
from collections import deque

# What is refused costs nothing, what comes too late was computed in vain: under overload every fifth image was.
CAUTION = 1.3  # an image must have this multiple of the time it is expected to need

_REMEMBERED = 5  # latest batches of a size; their median forgets a single stall


class BatchClock:
    """Medians of the latest batch times, one for each size up to `max_batch`."""

    def __init__(self, max_batch: int) -> None:
        self._latest = [deque[float](maxlen=_REMEMBERED) for _ in range(max_batch + 1)]
        self._median_s = [math.nan] * (max_batch + 1)

    def observe(self, size: int, seconds: float) -> None:
        """Take note of one batch."""
        self._latest[size].append(seconds)
        self._median_s[size] = statistics.median(self._latest[size])

    def expected(self, size: int) -> float:
        """Return the seconds a batch of `size` takes, rather too few than too many; 0 before the first.

        A size that was not seen yet is taken for the next smaller one, which cannot take longer; where only
        larger ones were seen, for its share of the smallest of them. No size takes longer than its images in
        several smaller batches: slow large ones, refused ever since, are not held against what is seen now.
        """
        smaller = [s for s in range(1, size + 1) if not math.isnan(self._median_s[s])]
        if smaller:
            apart = (self._median_s[s] * math.ceil(size / s) for s in smaller)
            return min(self._median_s[smaller[-1]], *apart)
        for larger in range(size + 1, len(self._median_s)):
            if not math.isnan(self._median_s[larger]):
                return self._median_s[larger] * size / larger
        return 0.0

    def expected_queue(self, count: int, max_batch: int) -> float:
        """Return the seconds that `count` queries take in batches of `max_batch`; 0 for none."""
        full, rest = divmod(count, max_batch)
        return full * self.expected(max_batch) + (self.expected(rest) if rest else 0.0)
