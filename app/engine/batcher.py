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

from app.engine.worker import Outcome, Scored, compute
from app.errors import (
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
    """One waiting query. Jobs sort by deadline, then by arrival; nothing else decides the order."""

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
    ) -> None:
        self._runtime, self._limits, self._on_batch = runtime, limits, on_batch
        self._loop = asyncio.get_running_loop()
        self._warm: asyncio.Future[None] = self._loop.create_future()
        self._condition = threading.Condition()
        self._waiting: list[_Job] = []  # a heap
        self._computing: list[_Job] = []
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

    async def submit(self, query: Query, deadline: float = math.inf) -> Scored:
        """Wait for a query's result; cancelling the wait takes the query out of the queue.

        Args:
            query: what to score.
            deadline: `time.perf_counter()` value; the query with the earliest one is computed first.

        Raises:
            UnavailableError: the queue is full, the batcher is stopping, or the worker is dead.
            InferenceError: the runtime raised on this very query.
        """
        with self._condition:
            job = self._enqueue(query, deadline)
            self._condition.notify()
        try:
            return await job.future
        finally:
            self._forget(job)

    async def stop(self, timeout_s: float) -> None:
        """Refuse new queries, finish those accepted, end the worker.

        Args:
            timeout_s: queries that are left after this time fail with `WorkerDeadError`.
        """
        with self._condition:
            self._refusal = self._refusal or DrainingError
            self._condition.notify()
        if self.alive:
            await asyncio.to_thread(self._thread.join, timeout_s)
        if self.alive:
            logger.error("the worker did not end within %.0f s", timeout_s)
            self._resolve(self._abandon())

    def _enqueue(self, query: Query, deadline: float) -> _Job:
        if self._refusal is not None:
            raise self._refusal("no more images are taken")
        if len(self._waiting) >= self._limits.queue_size:
            raise QueueFullError(f"{self._limits.queue_size} images are waiting already")
        self._submitted += 1
        future: asyncio.Future[Scored] = self._loop.create_future()
        job = _Job(deadline, self._submitted, query, future, time.perf_counter())
        heapq.heappush(self._waiting, job)
        return job

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
                    outcomes = compute(self._runtime, [job.query for job in batch])
                    self._on_batch(len(batch))
                    self._post(self._resolve, list(zip(batch, outcomes, strict=True)))
        finally:
            self._post(self._resolve, self._abandon())

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
            self._computing = batch
            return batch

    def _hold_open(self) -> None:
        """Let more queries join until the batch is full or its oldest query has waited long enough."""
        if self._waiting and self._limits.max_wait_s > 0:
            oldest = min(job.queued_at for job in self._waiting)
            self._condition.wait_for(
                lambda: len(self._waiting) >= self._limits.max_batch or self._refusal,
                timeout=oldest + self._limits.max_wait_s - time.perf_counter(),
            )

    def _pop_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        while self._waiting and len(batch) < self._limits.max_batch:
            job = heapq.heappop(self._waiting)
            if not job.future.done():  # cancelled, but its waiter had no turn to say so yet
                batch.append(job)
        return batch

    def _abandon(self) -> list[tuple[_Job, Outcome | ServiceError]]:
        """Give up every query that is left; nothing is left after an orderly stop."""
        with self._condition:
            left = self._waiting + self._computing
            self._waiting, self._computing = [], []
            self._refusal = self._refusal or WorkerDeadError
        return [(job, WorkerDeadError("the inference worker ended")) for job in left]

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)
