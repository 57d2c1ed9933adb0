"""Who is refused at once because the queue takes too long: nobody who has time, nobody who is ahead."""

import asyncio
import math
import time

import pytest

from app.engine.batch_queue import BatchQueue
from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.engine.worker import Computer
from app.errors import DeadlineUnreachableError
from tests.batching import put, query, started
from tests.conftest import until
from tests.fakes import FakeRuntime

pytestmark = pytest.mark.anyio

BATCH_S = 60.0  # of an image, as the tests say; the device itself does nothing until its gate opens


async def _busy(
    lanes: int, images: int
) -> tuple[FakeRuntime, Batcher, list["asyncio.Task[object]"]]:
    """Return a batcher that computes what it can of some images, which came at the same moment."""
    runtime = FakeRuntime()
    runtime.lanes = lanes
    batcher = await started(runtime, BatchLimits(max_batch=2 * lanes))
    for size in (1, 2):
        batcher._queue._clock.observe(size, size * BATCH_S)
    runtime.gate.clear()
    with batcher._queue._condition:  # no lane looks before all wait
        tasks = [_submit(batcher, math.inf) for _ in range(images)]
        await asyncio.sleep(0)
    return runtime, batcher, tasks


def _submit(batcher: Batcher, left_s: float) -> "asyncio.Task[object]":
    deadline = time.perf_counter() + left_s
    return asyncio.create_task(batcher.submit(query(0.5), deadline))


async def _ended(
    runtime: FakeRuntime, batcher: Batcher, tasks: list["asyncio.Task[object]"]
) -> None:
    runtime.gate.set()
    await asyncio.gather(*tasks)
    await batcher.stop(5)


async def test_an_image_that_has_little_more_time_than_is_expected_is_refused() -> None:
    """Two images of 60 s each are ahead of the answer: 150 s would be too tight, 162 s are enough."""
    runtime, batcher, tasks = await _busy(lanes=1, images=1)
    await until(lambda: runtime.calls == 1)
    expected = r"about 1[12]\d{4} ms are needed, 1[45]\d{4} ms are left"
    with pytest.raises(DeadlineUnreachableError, match=expected):
        await asyncio.wait_for(_submit(batcher, 150.0), 10)
    tasks.append(_submit(batcher, 162.0))
    await until(lambda: batcher.depth == 1)
    await _ended(runtime, batcher, tasks)


async def test_who_has_more_time_is_not_ahead() -> None:
    """An image that waits without a deadline is computed later, so it costs the others no time."""
    runtime, batcher, tasks = await _busy(lanes=1, images=1)
    await until(lambda: runtime.calls == 1)
    tasks.append(_submit(batcher, math.inf))
    await until(lambda: batcher.depth == 1)
    tasks.append(_submit(batcher, 170.0))
    await until(lambda: batcher.depth == 2)
    await _ended(runtime, batcher, tasks)


async def test_a_free_lane_is_not_waited_for() -> None:
    """While the other one computes, an image needs its own time alone."""
    runtime, batcher, tasks = await _busy(lanes=2, images=1)
    await until(lambda: runtime.calls == 1)
    tasks.append(_submit(batcher, 90.0))
    await until(lambda: runtime.calls == 2)
    await _ended(runtime, batcher, tasks)


async def test_what_waits_is_shared_by_the_lanes() -> None:
    """Of two images that wait for two lanes neither is behind the other."""
    runtime, batcher, tasks = await _busy(lanes=2, images=2)
    await until(lambda: runtime.calls == 2)
    for left_s in (160.0, 170.0):
        tasks.append(_submit(batcher, left_s))
        await until(lambda: len(tasks) - batcher.depth == 2)
    await _ended(runtime, batcher, tasks)


async def test_the_lane_that_is_free_first_is_waited_for() -> None:
    """One image on a lane and two on the other: the next has the first one's lane, after 60 s."""
    runtime, batcher, tasks = await _busy(lanes=2, images=5)
    await until(lambda: runtime.calls == 2 and batcher.depth == 2)
    tasks.append(_submit(batcher, 170.0))
    await until(lambda: batcher.depth == 3)
    await _ended(runtime, batcher, tasks)


@pytest.mark.parametrize("parts", [1, 2])
async def test_an_image_behind_one_that_is_held_open_needs_its_own_time(parts: int) -> None:
    """Nothing is computed yet, but it will be; a part of an image's time is none of its own."""
    computer = Computer(FakeRuntime(), 2)
    queue = BatchQueue(computer, BatchLimits(2, max_wait_s=60), parts, lambda _job: None)
    queue._clock.observe(1, BATCH_S)

    put(queue, deadline=time.perf_counter() + 1.0)  # idle: whatever has time left is taken
    with pytest.raises(DeadlineUnreachableError):
        put(queue, deadline=time.perf_counter() + 0.5)
    put(queue, deadline=time.perf_counter() + 90.0)
