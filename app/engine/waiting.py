"""Queries that wait for the device: how many may, and whose turn is next.

Knows queries, deadlines and futures; knows neither threads nor the device.
"""

import asyncio
import heapq
import time
from dataclasses import dataclass, field

from app.engine.worker import Scored
from app.runtime.protocol import Query


@dataclass(frozen=True)
class BatchLimits:
    """How much waits and how much is computed at once.

    Attributes:
        max_batch: most queries computed at once, all lanes together; where these do not divide the device as
            many again are ready behind them.
        max_wait_s: longest time the oldest query is held back so that others may join it; where each of several
            lanes has a part of the device it is not.
        queue_size: most queries that wait; those being computed do not count.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0
    queue_size: int = 64


@dataclass(frozen=True, order=True)
class Job:
    """One accepted query. Urgent ones come first, then jobs sort by deadline, then by arrival."""

    patient: bool  # not urgent
    deadline: float
    number: int
    query: Query = field(compare=False)
    future: asyncio.Future[Scored] = field(compare=False)
    queued_at: float = field(compare=False)


class WaitingJobs:
    """A heap of jobs. Not safe between threads: its owner holds a lock."""

    def __init__(self) -> None:
        self._heap: list[Job] = []

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, job: Job) -> None:
        """Add a job."""
        heapq.heappush(self._heap, job)

    def pop(self) -> Job:
        """Take the job whose turn is next."""
        return heapq.heappop(self._heap)

    def discard(self, job: Job) -> None:
        """Take a job out, if it still waits."""
        if job in self._heap:
            self._heap.remove(job)
            heapq.heapify(self._heap)

    def clear(self) -> list[Job]:
        """Take all of them."""
        jobs, self._heap = self._heap, []
        return jobs

    def before(self, deadline: float) -> int:
        """Return how many have that deadline or an earlier one."""
        return sum(job.deadline <= deadline for job in self._heap)

    def patience_s(self, max_wait_s: float, expected_s: float) -> float:
        """Return how long their batch may still be held open, so that none is late for it; there must be one.

        Args:
            max_wait_s: longest wait of any.
            expected_s: how long the batch is going to take.
        """
        oldest = min(job.queued_at for job in self._heap)
        urgent = min(self._heap, key=lambda job: job.deadline)
        # Half of its time at most: how long a batch takes is not known before the first one.
        half = urgent.queued_at + (urgent.deadline - urgent.queued_at) / 2
        until = min(oldest + max_wait_s, half, urgent.deadline - 2.0 * expected_s)
        return until - time.perf_counter()
