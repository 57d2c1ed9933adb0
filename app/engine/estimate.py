"""How long a batch will take, from how long batches took.

Knows sizes and seconds; knows neither queries nor threads.
"""

import math

_WEIGHT = 0.2  # of the latest batch in the running mean


class BatchClock:
    """Running means of batch times, one for each size up to `max_batch`."""

    def __init__(self, max_batch: int) -> None:
        self._means = [math.nan] * (max_batch + 1)

    def observe(self, size: int, seconds: float) -> None:
        """Take note of one batch."""
        mean = self._means[size]
        self._means[size] = seconds if math.isnan(mean) else mean + _WEIGHT * (seconds - mean)

    def expected(self, size: int) -> float:
        """Return the seconds a batch of `size` takes, rather too few than too many; 0 before the first.

        A size that was not seen yet is taken for the next smaller one, which cannot take longer; where only
        larger ones were seen, for its share of the smallest of them.
        """
        for smaller in range(size, 0, -1):
            if not math.isnan(self._means[smaller]):
                return self._means[smaller]
        for larger in range(size + 1, len(self._means)):
            if not math.isnan(self._means[larger]):
                return self._means[larger] * size / larger
        return 0.0

    def expected_queue(self, count: int, max_batch: int) -> float:
        """Return the seconds that `count` queries take in batches of `max_batch`; 0 for none."""
        full, rest = divmod(count, max_batch)
        return full * self.expected(max_batch) + (self.expected(rest) if rest else 0.0)
