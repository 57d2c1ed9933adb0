"""Images that wait for the device, and the batches that lanes take of them.

Knows deadlines, shares and the lock; knows neither the device nor the event loop, and resolves no future. The
loop puts queries in, each lane's thread takes batches out.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.engine.estimate import CAUTION, BatchClock
from app.engine.waiting import BatchLimits, Job, WaitingJobs
from app.engine.worker import Computer, Scored
from app.errors import (
    DeadlineUnreachableError,
    QueueFullError,
    UnavailableError,
    WorkerDeadError,
)
from app.runtime.protocol import Query


@dataclass(frozen=True, eq=False)
class Batch:
    """Queries that are computed together.

    Attributes:
        jobs: never none.
        since: when they were taken.
        alone: whether nothing else was computed or waited then.
    """

    jobs: list[Job]
    since: float
    alone: bool


class BatchQueue:
    """A bounded queue from which each lane takes its share of what waits as soon as it is free.

    The condition guards `_waiting`, `_computing` and `_refusal`, which all threads use.

    Args:
        computer: says how many queries a batch may hold now.
        limits: how much waits and how much is computed at once.
        parts: into how many the lanes divide the device, see `Runtime`.
        on_late: given each job whose turn came after its deadline; called on the lane's thread, under the lock.
    """

    def __init__(
        self, computer: Computer, limits: BatchLimits, parts: int, on_late: Callable[[Job], None]
    ) -> None:
        self._computer, self._limits, self._parts, self._on_late = computer, limits, parts, on_late
        self._whole = parts == 1  # each batch has the whole device
        self._clock = BatchClock(computer.max_batch)
        self._condition = threading.Condition()
        self._waiting = WaitingJobs()
        self._computing: dict[int, Batch] = {}  # by lane
        self._refusal: type[UnavailableError] | None = None
        self._submitted = 0
        self._last_done = -math.inf  # when a batch was computed last
        self._newest_done = -math.inf  # when the newest of those was taken

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def computing_s(self) -> float:
        """For how long the oldest batch has been computed; 0 while none is."""
        with self._condition:
            since = min((b.since for b in self._computing.values()), default=math.inf)
        return max(0.0, time.perf_counter() - since)

    def put(
        self, query: Query, future: asyncio.Future[Scored], deadline: float, *, urgent: bool
    ) -> Job:
        """Add a query; an urgent one is refused only when the queue is closed.

        Raises:
            UnavailableError: the queue is full or closed.
            DeadlineUnreachableError: what is ahead of it takes too long.
        """
        with self._condition:
            if self._refusal is not None:
                raise self._refusal("no more images are taken")
            now = time.perf_counter()
            if not urgent:
                self._refuse_if_full_or_late(deadline, now)
            self._submitted += 1
            job = Job(not urgent, deadline, self._submitted, query, future, now)
            self._waiting.push(job)
            self._condition.notify_all()
            return job

    def discard(self, job: Job) -> None:
        """Take a job out, if it still waits."""
        with self._condition:
            self._waiting.discard(job)

    def close(self, refusal: type[UnavailableError]) -> None:
        """Refuse new queries; the lanes finish what waits."""
        with self._condition:
            self._refusal = self._refusal or refusal
            self._condition.notify_all()

    def abandon(
        self, refusal: type[UnavailableError] | None = None
    ) -> list[tuple[Job, UnavailableError]]:
        """Give up every job that is left, those being computed too; none is left after an orderly stop.

        Args:
            refusal: why; None is what closed the queue, or else that the worker is dead.

        Returns:
            Each of them with what its waiter is to be told.
        """
        with self._condition:
            left = self._waiting.clear()
            left += [job for batch in self._computing.values() for job in batch.jobs]
            self._computing.clear()
            self._refusal = why = refusal or self._refusal or WorkerDeadError
            self._condition.notify_all()
        return [(job, why("the image was not inspected")) for job in left]

    def take(self, lane: int) -> Batch | None:
        """Wait for a lane's next batch; none means that the lane may end."""
        with self._condition:
            jobs: list[Job] = []
            while not jobs and (self._waiting or self._refusal is None):
                self._condition.wait_for(lambda: self._refusal or self._is_next(lane))
                self._hold_open()
                if self._refusal or self._is_next(lane):  # another lane may have begun meanwhile
                    jobs = self._pop_batch()
            if not jobs:
                return None
            alone = not self._computing and not self._waiting
            batch = self._computing[lane] = Batch(jobs, time.perf_counter(), alone)
            self._condition.notify_all()  # what is left is the next lane's
            return batch

    def done(self, lane: int, batch: Batch) -> None:
        """Take note that a batch was computed."""
        with self._condition:
            now = time.perf_counter()
            began = max(batch.since, self._last_done) if self._whole else batch.since
            overtaken = self._whole and batch.since <= self._newest_done  # how long it took is lost
            if not overtaken:
                self._clock.observe(len(batch.jobs), now - began)
            self._last_done, self._newest_done = now, max(batch.since, self._newest_done)
            self._computing.pop(lane, None)
            if self._whole:
                self._condition.notify_all()  # a smaller batch may be next now

    def _refuse_if_full_or_late(self, deadline: float, now: float) -> None:
        if len(self._waiting) >= self._limits.queue_size:
            raise QueueFullError(f"{self._limits.queue_size} images are waiting already")
        left, needed = deadline - now, self._needed_s(deadline, now)
        if left < CAUTION * needed:
            raise DeadlineUnreachableError(
                f"about {1000 * needed:.0f} ms are needed, {1000 * left:.0f} ms are left"
            )

    def _needed_s(self, deadline: float, now: float) -> float:
        """Estimate the time to a new query's result; 0 when idle, lest a stale estimate refuse for ever."""
        if not self._waiting and not self._computing:
            return 0.0
        share = math.ceil((self._waiting.before(deadline) + 1) / self._parts)
        own_s = self._clock.expected_queue(share, self._computer.max_batch)
        return max(0.0, self._free_at(now) - now) + own_s

    def _free_at(self, now: float) -> float:
        """Estimate when the device, or the first part of it, has computed what it has."""
        batches = self._computing.values()
        if len(batches) < self._parts:
            return now
        took = [self._clock.expected_queue(len(b.jobs), self._computer.max_batch) for b in batches]
        if self._whole:
            return max(min(b.since for b in batches), self._last_done) + sum(took)
        return min(b.since + s for b, s in zip(batches, took, strict=True))

    def _is_next(self, lane: int) -> bool:
        """Whether enough waits and the lanes before this one are busy: only the first is ever alone.

        Behind a batch on the same device half of one is enough: fewer may still become more in the time that
        they would have to wait anyway.
        """
        behind = self._whole and self._computing
        half = min(math.ceil(self._computer.max_batch / 2), self._limits.queue_size)
        enough = half if behind else 1
        busy = all(before in self._computing for before in range(lane))
        return busy and len(self._waiting) >= enough

    def _hold_open(self) -> None:
        """Let more queries join until the batch is full, or its oldest or most urgent query can wait no longer.

        The wait ends early enough to compute what waits, and each query that joins may shorten it. Where
        each of several lanes takes its share nothing is held: images would only be late.
        """
        while self._waiting and self._whole and self._limits.max_wait_s > 0:
            waiting, max_batch = len(self._waiting), self._computer.max_batch
            expected_s = self._clock.expected(min(waiting, max_batch))
            left = self._waiting.patience_s(self._limits.max_wait_s, expected_s)
            if waiting >= max_batch or self._refusal or left <= 0:
                return
            self._condition.wait(left)

    def _pop_batch(self) -> list[Job]:
        """Take half a lane's share and come back for the rest; of a whole device, all that waits.

        What is taken behind another batch is computed even if it is late by then.
        """
        # A core gains little by a second image, for which the first one waits: a long queue is worth that.
        takers = 1 if self._whole else 2 * self._parts
        limit = min(math.ceil(len(self._waiting) / takers), self._computer.max_batch)
        batch: list[Job] = []
        while self._waiting and len(batch) < limit:
            job = self._waiting.pop()
            if job.future.done():  # cancelled, but its waiter had no turn to say so yet
                continue
            if job.deadline <= time.perf_counter():
                self._on_late(job)
                continue
            batch.append(job)
        return batch
