"""The threads that decode and draw, and who gets the next one.

Knows threads and urgency; knows no images. What waits does so outside the pool, so that work that is given up
while it waits is forgotten with all it holds.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from enum import IntEnum
from typing import TypeVar

from app.errors import DrainingError, QueueFullError

T = TypeVar("T")


class Stage(IntEnum):
    """What is to be done to an image; the stage nearer to its answer goes first.

    Under overload many images wait to be decoded. A scored one that queued behind them would miss its deadline
    with all its work done.
    """

    CONCLUDE = 0
    OPEN = 1


class ImageThreads:
    """Shares out threads by stage, then by deadline, then by arrival. Used on one event loop."""

    def __init__(self, pool: Executor, threads: int) -> None:
        """Share out threads.

        Args:
            pool: runs the work.
            threads: how many threads it has.
        """
        self._pool, self._free = pool, threads
        self._numbers = itertools.count()
        self._waiting: list[tuple[Stage, float, int, asyncio.Future[None]]] = []  # a heap

    async def run(self, stage: Stage, deadline: float, work: Callable[[], T]) -> T:
        """Run work on a thread that is free, or give up waiting for one; a thread is free when it has ended.

        Raises:
            DrainingError: the pool was shut down, the time for finishing is over.
            QueueFullError: the system has no thread left for the pool.
            Exception: what `work` raised.
        """
        await self._acquire(stage, deadline)
        loop = asyncio.get_running_loop()
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:
            self._release()
            if "shutdown" in str(error):  # its text is all there is to tell by
                raise DrainingError("the service is shutting down") from None
            raise QueueFullError("the system has no thread left for images") from error

        def ended(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._release)

        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    async def _acquire(self, stage: Stage, deadline: float) -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (stage, deadline, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn had come at the same moment
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[-1]
            if not turn.done():  # given up
                turn.set_result(None)
                return
        self._free += 1
