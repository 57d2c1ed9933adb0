"""What tests of the batcher share."""

import asyncio
import math
import time

import numpy as np
import pytest

from app.engine.batch_queue import Batch, BatchQueue
from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.engine.worker import Scored
from app.runtime.protocol import Query
from tests.conftest import until
from tests.fakes import MAP_PX, FakeRuntime


def query(value: float, product: str = "x") -> Query:
    """Return an image of one brightness, which is its score."""
    return Query(np.full((MAP_PX, MAP_PX), value, dtype=np.float32), product)


async def started(runtime: FakeRuntime, limits: BatchLimits) -> Batcher:
    """Return a batcher that is warm."""
    batcher = Batcher(runtime, limits)
    await batcher.start()
    return batcher


async def blocked(runtime: FakeRuntime, batcher: Batcher) -> asyncio.Task[Scored]:
    """Occupy the worker with one query until the gate opens."""
    runtime.gate.clear()
    task = asyncio.create_task(batcher.submit(query(0.0, "first")))
    await asyncio.sleep(0)
    await until(lambda: batcher.depth == 0)
    return task


def put(queue: BatchQueue, count: int = 1, deadline: float = math.inf) -> None:
    """Let so many queries wait that nobody asks about."""
    for _ in range(count):
        future: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        queue.put(query(0.5), future, deadline, urgent=False)


def take(queue: BatchQueue, lane: int) -> Batch:
    """Return the lane's next batch; there must be one."""
    batch = queue.take(lane)
    assert batch is not None
    return batch


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds
