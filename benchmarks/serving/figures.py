"""The arithmetic of a load test: when requests are due, and what a list of outcomes amounts to.

Knows numbers; knows no server and no clock.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """One request.

    Attributes:
        due_s: when it should have been sent; a closed loop's is when it was.
        done_s: when its answer was there.
        status: HTTP status; 0 where there was no answer.
    """

    due_s: float
    done_s: float
    status: int

    @property
    def latency_s(self) -> float:
        """Time from when it was due: a generator or server that falls behind does not hide it."""
        return self.done_s - self.due_s

    @property
    def served(self) -> bool:
        """Whether there was a verdict."""
        return self.status == 200


@dataclass(frozen=True)
class Figures:
    """What one load came to.

    Attributes:
        sent: requests that were due.
        served: those with a verdict.
        refused: those without, by status.
        throughput: verdicts a second.
        p50_ms, p99_ms: latency of the verdicts; NaN where there are none.
        in_time: share of all requests that had a verdict within the deadline.
    """

    sent: int
    served: int
    refused: dict[str, int]
    throughput: float
    p50_ms: float
    p99_ms: float
    in_time: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is at least as large as `share` of all; NaN of nothing."""
    return float(np.percentile(values, 100 * share, method="inverted_cdf")) if values else math.nan


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return when requests are due: a Poisson process, scaled so that every seed sends exactly the rate."""
    count = round(rate * seconds)
    drawn = random.Random(seed)  # noqa: S311
    gaps = [drawn.expovariate(1.0) for _ in range(count + 1)]
    scale = seconds / sum(gaps)
    due, now = [], 0.0
    for gap in gaps[:-1]:
        now += gap * scale
        due.append(now)
    return due


def summarise(outcomes: Sequence[Outcome], deadline_s: float, window_s: float) -> Figures:
    """Sum up a load.

    Args:
        outcomes: of every request that was due.
        deadline_s: a caller's patience.
        window_s: what throughput is counted over, from time 0 on; verdicts after it do not count for it.
    """
    served = [o for o in outcomes if o.served]
    latencies = [1e3 * o.latency_s for o in served]
    return Figures(
        sent=len(outcomes),
        served=len(served),
        refused=dict(Counter(str(o.status) for o in outcomes if not o.served)),
        throughput=sum(o.done_s <= window_s for o in served) / window_s,
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        in_time=sum(o.latency_s <= deadline_s for o in served) / max(1, len(outcomes)),
    )
