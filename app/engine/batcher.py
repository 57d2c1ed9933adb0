"""Images that wait for the device, and the threads that own it: one on a GPU, one a lane on a CPU.

Knows queries, futures and threads; knows neither pictures nor HTTP. What it promises: every accepted query's
future is resolved exactly once, with its own result, or was cancelled by its waiter.
"""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.engine.estimate import CAUTION, BatchClock
from app.engine.waiting import BatchLimits, Job, WaitingJobs
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


@dataclass(frozen=True, eq=False)
class _Batch:
    """Queries that are computed together.

    Attributes:
        jobs: never none.
        since: when they were taken.
        alone: whether nothing else was computed or waited then.
    """

    jobs: list[Job]
    since: float
    alone: bool


class Batcher:
    """A bounded queue in front of a worker thread for each of the runtime's lanes.

    Each lane takes its share of what waits as soon as it is free. Made, used and stopped on one event loop. The
    condition guards `_waiting`, `_computing` and `_refusal`, which all threads use; futures are resolved on the
    loop only.
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
            on_batch: called on a worker thread with the size of each batch that was computed.
            on_death: called on the loop when a worker has ended though nobody stopped it.
        """
        self._runtime, self._limits, self._on_batch = runtime, limits, on_batch
        self._on_death = on_death
        share = math.ceil(limits.max_batch / runtime.lanes)
        self._computer = Computer(runtime, min(share, runtime.useful_batch))
        self._clock = BatchClock(self._computer.max_batch)
        self._loop = asyncio.get_running_loop()
        self._warm: asyncio.Future[None] = self._loop.create_future()
        self._condition = threading.Condition()
        self._waiting = WaitingJobs()
        self._computing: dict[int, _Batch] = {}  # by lane
        self._refusal: type[UnavailableError] | None = None
        self._submitted = 0
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name="ssvp-worker", daemon=True)
            for lane in range(runtime.lanes)
        ]

    @property
    def depth(self) -> int:
        """How many queries wait."""
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether every worker thread runs."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def computing_s(self) -> float:
        """For how long the oldest batch has been computed; 0 while none is."""
        with self._condition:
            since = min((b.since for b in self._computing.values()), default=math.inf)
        return max(0.0, time.perf_counter() - since)

    async def start(self) -> None:
        """Start the first worker, wait until it has warmed up the runtime, start the others.

        Raises:
            Exception: whatever the runtime raised while it warmed up; the worker has ended then.
        """
        first, *others = self._threads
        first.start()
        await self._warm
        for thread in others:
            thread.start()

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
            self._condition.notify_all()
        try:
            return await job.future
        finally:
            with self._condition:
                self._waiting.discard(job)

    async def stop(self, timeout_s: float) -> None:
        """Refuse new queries, finish those accepted, end the workers.

        Args:
            timeout_s: queries that are left after this time fail with `DrainingError`.
        """
        with self._condition:
            self._refusal = self._refusal or DrainingError
            self._condition.notify_all()
        await asyncio.to_thread(self._join, timeout_s)
        if left := self._abandon():
            logger.error("%d images were not finished within %.0f s", len(left), timeout_s)
            self._resolve(left)

    def give_up(self) -> None:
        """Fail every query with `DeviceLostError`: a device that hangs will compute none of them."""
        with self._condition:
            self._refusal = DeviceLostError
        self._resolve(self._abandon())

    def _join(self, timeout_s: float) -> None:
        end = time.perf_counter() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.perf_counter()))

    def _enqueue(self, query: Query, deadline: float, urgent: bool) -> Job:
        if self._refusal is not None:
            raise self._refusal("no more images are taken")
        if len(self._waiting) >= self._limits.queue_size and not urgent:
            raise QueueFullError(f"{self._limits.queue_size} images are waiting already")
        now = time.perf_counter()
        left, needed = deadline - now, self._needed_s(deadline, now)
        if left < CAUTION * needed and not urgent:
            raise DeadlineUnreachableError(
                f"about {1000 * needed:.0f} ms are needed, {1000 * left:.0f} ms are left"
            )
        self._submitted += 1
        future: asyncio.Future[Scored] = self._loop.create_future()
        job = Job(not urgent, deadline, self._submitted, query, future, now)
        self._waiting.push(job)
        return job

    def _needed_s(self, deadline: float, now: float) -> float:
        """Estimate the time to a new query's result; 0 when idle, lest a stale estimate refuse for ever."""
        if not self._waiting and not self._computing:
            return 0.0
        clock, max_batch, lanes = self._clock, self._computer.max_batch, len(self._threads)
        ends = (
            b.since + clock.expected_queue(len(b.jobs), max_batch) for b in self._computing.values()
        )
        until_free_s = max(0.0, min(ends) - now) if len(self._computing) == lanes else 0.0
        share = math.ceil((self._waiting.before(deadline) + 1) / lanes)
        return until_free_s + clock.expected_queue(share, max_batch)

    def _resolve(self, outcomes: Sequence[tuple[Job, Outcome | ServiceError]]) -> None:
        """Wake the waiters; runs on the loop."""
        for job, outcome in outcomes:
            if job.future.done():  # its waiter is gone
                continue
            if isinstance(outcome, Scored):
                job.future.set_result(outcome)
            else:
                job.future.set_exception(outcome)

    # What follows runs on the worker threads.

    def _run(self, lane: int) -> None:
        orderly = False
        try:
            if lane > 0 or self._warm_up():
                while batch := self._take(lane):
                    self._compute(lane, batch)
                orderly = True
        except DeviceLostError as error:
            logger.critical("the device is lost: %s", error, exc_info=error)
            with self._condition:
                self._refusal = DeviceLostError
        finally:
            if not orderly:
                self._post(self._resolve, self._abandon())
                self._post(self._on_death)

    def _compute(self, lane: int, batch: _Batch) -> None:
        outcomes = self._computer.compute([job.query for job in batch.jobs], alone=batch.alone)
        self._clock.observe(len(batch.jobs), time.perf_counter() - batch.since)
        self._on_batch(len(batch.jobs))
        with self._condition:
            # Before its waiters wake: they may find the worker idle.
            self._computing.pop(lane, None)
        self._post(self._resolve, list(zip(batch.jobs, outcomes, strict=True)))

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

    def _take(self, lane: int) -> _Batch | None:
        """Wait for the next batch; none means that the worker may end."""
        with self._condition:
            jobs: list[Job] = []
            while not jobs and (self._waiting or self._refusal is None):
                self._condition.wait_for(lambda: self._refusal or self._is_next(lane))
                self._hold_open()
                jobs = self._pop_batch()
            if not jobs:
                return None
            alone = not self._computing and not self._waiting
            batch = self._computing[lane] = _Batch(jobs, time.perf_counter(), alone)
            self._condition.notify_all()  # what is left is the next lane's
            return batch

    def _is_next(self, lane: int) -> bool:
        """Whether something waits and the lanes before this one are busy: only the first is ever alone."""
        return bool(self._waiting) and all(before in self._computing for before in range(lane))

    def _hold_open(self) -> None:
        """Let more queries join until the batch is full, or its oldest or most urgent query can wait no longer.

        The wait ends early enough to compute what waits, and each query that joins may shorten it.
        """
        while self._waiting and self._limits.max_wait_s > 0:
            waiting, max_batch = len(self._waiting), self._computer.max_batch
            expected_s = self._clock.expected(min(waiting, max_batch))
            left = self._waiting.patience_s(self._limits.max_wait_s, expected_s)
            if waiting >= max_batch or self._refusal or left <= 0:
                return
            self._condition.wait(left)

    def _pop_batch(self) -> list[Job]:
        """Take half a lane's share and come back for the rest; a single lane takes all that waits."""
        # A core gains little by a second image, for which the first one waits: a long queue is worth that.
        takers = 1 if len(self._threads) == 1 else 2 * len(self._threads)
        limit = min(math.ceil(len(self._waiting) / takers), self._computer.max_batch)
        batch: list[Job] = []
        while self._waiting and len(batch) < limit:
            job = self._waiting.pop()
            if job.future.done():  # cancelled, but its waiter had no turn to say so yet
                continue
            if job.deadline <= time.perf_counter():
                late = DeadlinePassedError("the image waited longer than its deadline")
                self._post(self._resolve, [(job, late)])
                continue
            batch.append(job)
        return batch

    def _abandon(self) -> list[tuple[Job, Outcome | ServiceError]]:
        """Give up every query that is left; nothing is left after an orderly stop."""
        with self._condition:
            left = self._waiting.clear()
            left += [job for batch in self._computing.values() for job in batch.jobs]
            self._computing.clear()
            self._refusal = refusal = self._refusal or WorkerDeadError
        return [(job, refusal("the image was given up")) for job in left]

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)
