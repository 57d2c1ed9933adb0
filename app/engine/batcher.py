"""The threads that own the device, one a lane, and the futures their results go to.

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

from app.engine.batch_queue import Batch, BatchQueue
from app.engine.waiting import BatchLimits, Job
from app.engine.worker import Computer, Outcome, Scored
from app.errors import (
    DeadlinePassedError,
    DeviceLostError,
    DrainingError,
    ServiceError,
)
from app.runtime.protocol import Query, Runtime

logger = logging.getLogger(__name__)


class Batcher:
    """A bounded queue in front of a worker thread for each of the runtime's lanes.

    Made, used and stopped on one event loop, on which alone futures are resolved.
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
        self._runtime, self._on_batch, self._on_death = runtime, on_batch, on_death
        share = math.ceil(limits.max_batch / runtime.parts)
        self._computer = Computer(runtime, min(share, runtime.useful_batch))
        self._queue = BatchQueue(self._computer, limits, runtime.parts, self._late)
        self._loop = asyncio.get_running_loop()
        self._warm: asyncio.Future[None] = self._loop.create_future()
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name="ssvp-worker", daemon=True)
            for lane in range(runtime.lanes)
        ]

    @property
    def depth(self) -> int:
        """How many queries wait."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether every worker thread runs."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def computing_s(self) -> float:
        """For how long the oldest batch has been computed; 0 while none is."""
        return self._queue.computing_s

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
        future: asyncio.Future[Scored] = self._loop.create_future()
        job = self._queue.put(query, future, deadline, urgent=urgent)
        try:
            return await future
        finally:
            self._queue.discard(job)

    async def stop(self, timeout_s: float) -> None:
        """Refuse new queries, finish those accepted, end the workers.

        Args:
            timeout_s: queries that are left after this time fail with `DrainingError`.
        """
        self._queue.close(DrainingError)
        await asyncio.to_thread(self._join, timeout_s)
        if left := self._queue.abandon():
            logger.error("%d images were not finished within %.0f s", len(left), timeout_s)
            self._resolve(left)

    def give_up(self) -> None:
        """Fail every query with `DeviceLostError`: a device that hangs will compute none of them."""
        self._resolve(self._queue.abandon(DeviceLostError))

    def _join(self, timeout_s: float) -> None:
        end = time.perf_counter() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.perf_counter()))

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
        orderly, refusal = False, None
        try:
            if lane > 0 or self._warm_up():
                while batch := self._queue.take(lane):
                    self._compute(lane, batch)
                orderly = True
        except DeviceLostError as error:
            logger.critical("the device is lost: %s", error, exc_info=error)
            refusal = DeviceLostError
        finally:
            if not orderly:
                self._post(self._resolve, self._queue.abandon(refusal))
                self._post(self._on_death)

    def _compute(self, lane: int, batch: Batch) -> None:
        outcomes = self._computer.compute([job.query for job in batch.jobs], alone=batch.alone)
        self._on_batch(len(batch.jobs))
        self._queue.done(lane, batch)  # before its waiters wake: they may find the worker idle
        self._post(self._resolve, list(zip(batch.jobs, outcomes, strict=True)))

    def _late(self, job: Job) -> None:
        late = DeadlinePassedError("the image waited longer than its deadline")
        self._post(self._resolve, [(job, late)])

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

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)
