"""Images that wait for the device, and the one thread that owns it.

Knows queries, futures and threads; knows neither pictures nor HTTP. What it promises: every accepted query's
future is resolved exactly once, with its own result, or was cancelled by its waiter.
"""

import asyncio
import contextlib
import heapq
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.engine.estimate import BatchClock
from app.engine.worker import Computer, Outcome, Scored
from app.errors import (
    DeadlinePassedError,
    DeadlineUnreachableError,
    DeviceLostError,
    DrainingError,
    QueueFullError,
    ServiceError,
    UnavailableError,
    WorkerDeadError,
)
from app.runtime.protocol import Query, Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchLimits:
    """How much waits and how much is computed at once.

    Attributes:
        max_batch: most queries given to the runtime at once.
        max_wait_s: longest time the oldest query is held back so that others may join it.
        queue_size: most queries that wait; those being computed do not count.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0
    queue_size: int = 64


@dataclass(frozen=True, order=True)
class _Job:
    """One waiting query. Urgent ones come first, then jobs sort by deadline, then by arrival."""

    patient: bool  # not urgent
    deadline: float
    number: int
    query: Query = field(compare=False)
    future: asyncio.Future[Scored] = field(compare=False)
    queued_at: float = field(compare=False)


class Batcher:
    """A bounded queue in front of one worker thread.

    Made, used and stopped on one event loop. The condition guards `_waiting`, `_computing` and `_refusal`,
    which both threads use; futures are resolved on the loop only.
    """

    def __init__(
        self,
        runtime: Runtime,
        limits: BatchLimits,
        on_batch: Callable[[int], None] = lambda _size: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a batcher that is not started yet.

        Args:
            runtime: what computes.
            limits: how much waits and how much is computed at once.
            on_batch: called on the worker thread with the size of each batch that was computed.
            on_death: called on the loop when the worker has ended though nobody stopped it.
        """
        self._runtime, self._limits, self._on_batch = runtime, limits, on_batch
        self._on_death = on_death
        self._computer = Computer(runtime, limits.max_batch)
        self._clock = BatchClock(limits.max_batch)
        self._loop = asyncio.get_running_loop()
        self._warm: asyncio.Future[None] = self._loop.create_future()
        self._condition = threading.Condition()
        self._waiting: list[_Job] = []  # a heap
        self._computing: list[_Job] = []
        self._computing_since = 0.0
        self._refusal: type[UnavailableError] | None = None
        self._submitted = 0
        self._thread = threading.Thread(target=self._run, name="ssvp-worker", daemon=True)

    @property
    def depth(self) -> int:
        """How many queries wait."""
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether the worker thread runs."""
        return self._thread.is_alive()

    async def start(self) -> None:
        """Start the worker and wait until the runtime is warm.

        Raises:
            Exception: whatever the runtime raised while it warmed up; the worker has ended then.
        """
        self._thread.start()
        await self._warm

    async def submit(
        self, query: Query, deadline: float = math.inf, *, urgent: bool = False
    ) -> Scored:
        """Wait for a query's result; cancelling the wait takes the query out of the queue.

        Args:
            query: what to score.
            deadline: `time.perf_counter()` value; the query with the earliest one is computed first, and one
                whose deadline has passed is not computed at all.
            urgent: enter a full queue too, at its head.

        Raises:
            UnavailableError: the queue is full, the batcher is stopping, or the worker is dead.
            DeadlineUnreachableError: what is ahead of it takes too long.
            DeadlinePassedError: its turn came too late.
            InferenceError: the runtime raised on this very query.
        """
        with self._condition:
            job = self._enqueue(query, deadline, urgent)
            self._condition.notify()
        try:
            return await job.future
        finally:
            self._forget(job)

    async def stop(self, timeout_s: float) -> None:
        """Refuse new queries, finish those accepted, end the worker.

        Args:
            timeout_s: queries that are left after this time fail with `DrainingError`.
        """
        with self._condition:
            self._refusal = self._refusal or DrainingError
            self._condition.notify()
        if self.alive:
            await asyncio.to_thread(self._thread.join, timeout_s)
        if self.alive:
            logger.error("the worker did not end within %.0f s", timeout_s)
            self._resolve(self._abandon())

    def _enqueue(self, query: Query, deadline: float, urgent: bool) -> _Job:
        if self._refusal is not None:
            raise self._refusal("no more images are taken")
        if len(self._waiting) >= self._limits.queue_size and not urgent:
            raise QueueFullError(f"{self._limits.queue_size} images are waiting already")
        now = time.perf_counter()
        left, needed = deadline - now, self._needed_s(deadline, now)
        if left < needed and not urgent:
            raise DeadlineUnreachableError(
                f"about {1000 * needed:.0f} ms are needed, {1000 * left:.0f} ms are left"
            )
        self._submitted += 1
        future: asyncio.Future[Scored] = self._loop.create_future()
        job = _Job(not urgent, deadline, self._submitted, query, future, now)
        heapq.heappush(self._waiting, job)
        return job

    def _needed_s(self, deadline: float, now: float) -> float:
        """Estimate the time to a new query's result; 0 when idle, lest a stale estimate refuse for ever."""
        if not self._waiting and not self._computing:
            return 0.0
        clock, max_batch = self._clock, self._computer.max_batch
        ahead = sum(job.deadline <= deadline for job in self._waiting)
        running_s = now - self._computing_since if self._computing else 0.0
        return max(0.0, clock.expected_queue(len(self._computing), max_batch) - running_s) + (
            clock.expected_queue(ahead + 1, max_batch)
        )

    def _forget(self, job: _Job) -> None:
        with self._condition:
            if job in self._waiting:
                self._waiting.remove(job)
                heapq.heapify(self._waiting)

    def _resolve(self, outcomes: Sequence[tuple[_Job, Outcome | ServiceError]]) -> None:
        """Wake the waiters; runs on the loop."""
        for job, outcome in outcomes:
            if job.future.done():  # its waiter is gone
                continue
            if isinstance(outcome, Scored):
                job.future.set_result(outcome)
            else:
                job.future.set_exception(outcome)

    # What follows runs on the worker thread.

    def _run(self) -> None:
        try:
            if self._warm_up():
                while batch := self._take():
                    self._compute(batch)
        except DeviceLostError as error:
            logger.critical("the device is lost: %s", error, exc_info=error)
            with self._condition:
                self._refusal = DeviceLostError
        finally:
            orderly = self._refusal is DrainingError
            self._post(self._resolve, self._abandon())
            if not orderly:
                self._post(self._on_death)

    def _compute(self, batch: list[_Job]) -> None:
        outcomes = self._computer.compute([job.query for job in batch])
        self._clock.observe(len(batch), time.perf_counter() - self._computing_since)
        self._on_batch(len(batch))
        with self._condition:
            self._computing = []  # before its waiters wake: they may find the worker idle
        self._post(self._resolve, list(zip(batch, outcomes, strict=True)))

    def _warm_up(self) -> bool:
        try:
            self._runtime.warm_up()
        except Exception as error:  # noqa: BLE001
            self._post(self._warmed, error)
            return False
        self._post(self._warmed, None)
        return True

    def _warmed(self, error: Exception | None) -> None:
        if self._warm.done():
            return
        if error is None:
            self._warm.set_result(None)
        else:
            self._warm.set_exception(error)

    def _take(self) -> list[_Job]:
        """Wait for the next batch; an empty one means that the worker may end."""
        with self._condition:
            batch: list[_Job] = []
            while not batch and (self._waiting or self._refusal is None):
                self._condition.wait_for(lambda: self._waiting or self._refusal)
                self._hold_open()
                batch = self._pop_batch()
            self._computing, self._computing_since = batch, time.perf_counter()
            return batch

    def _hold_open(self) -> None:
        """Let more queries join until the batch is full, or its oldest or most urgent query can wait no longer.

        The wait ends early enough to compute what waits, and each query that joins may shorten it.
        """
        while self._waiting and self._limits.max_wait_s > 0:
            waiting, max_batch = len(self._waiting), self._computer.max_batch
            oldest = min(job.queued_at for job in self._waiting)
            urgent = min(self._waiting, key=lambda job: job.deadline)
            expected_s = self._clock.expected(min(waiting, max_batch))
            # Half of its time at most: how long a batch takes is not known before the first one.
            half = urgent.queued_at + (urgent.deadline - urgent.queued_at) / 2
            latest_start = min(half, urgent.deadline - 2.0 * expected_s)
            until = min(oldest + self._limits.max_wait_s, latest_start)
            left = until - time.perf_counter()
            if waiting >= max_batch or self._refusal or left <= 0:
                return
            self._condition.wait(left)

    def _pop_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        while self._waiting and len(batch) < self._computer.max_batch:
            job = heapq.heappop(self._waiting)
            if job.future.done():  # cancelled, but its waiter had no turn to say so yet
                continue
            if job.deadline <= time.perf_counter():
                late = DeadlinePassedError("the image waited longer than its deadline")
                self._post(self._resolve, [(job, late)])
                continue
            batch.append(job)
        return batch

    def _abandon(self) -> list[tuple[_Job, Outcome | ServiceError]]:
        """Give up every query that is left; nothing is left after an orderly stop."""
        with self._condition:
            left = self._waiting + self._computing
            self._waiting, self._computing = [], []
            self._refusal = refusal = self._refusal or WorkerDeadError
        return [(job, refusal("the image was given up")) for job in left]

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)
