"""Two workers at one device, as on a GPU: while a batch is computed the next one is sent."""

import asyncio
import math
import threading
import time

import pytest

from app.engine.batch_queue import Batch, BatchQueue
from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.engine.worker import Computer, Scored
from app.errors import DeadlineUnreachableError, DrainingError
from tests.batching import Clock, blocked, put, query, started, take
from tests.conftest import until
from tests.fakes import FakeRuntime

pytestmark = pytest.mark.anyio


async def _pipelined(runtime: FakeRuntime, limits: BatchLimits) -> Batcher:
    runtime.lanes, runtime.pipelined = 2, True
    return await started(runtime, limits)


def _submit(batcher: Batcher, count: int) -> list[asyncio.Task[Scored]]:
    return [asyncio.create_task(batcher.submit(query(0.5))) for _ in range(count)]


@pytest.mark.parametrize(("waiting", "sent"), [(1, False), (2, False), (3, True), (5, True)])
async def test_half_a_batch_is_sent_behind_the_one_that_is_computed(
    waiting: int, sent: bool
) -> None:
    """Fewer wait for the device and may become more; each batch takes all that waits."""
    runtime = FakeRuntime()
    batcher = await _pipelined(runtime, BatchLimits(max_batch=5))
    first = await blocked(runtime, batcher)
    rest = _submit(batcher, waiting)
    await until(lambda: batcher.depth + 5 * (runtime.calls - 1) >= waiting)
    await asyncio.sleep(0.02)
    assert runtime.calls == 1 + sent
    runtime.gate.set()
    await asyncio.gather(first, *rest)
    sizes = [len(batch) for batch in runtime.batches]
    assert sum(sizes) == 1 + waiting
    if not sent:
        assert sorted(sizes) == sorted([1, waiting])
    await batcher.stop(5)


async def test_few_are_computed_when_the_batch_ahead_of_them_ends_on_the_other_lane() -> None:
    """A lane that waits for half a batch is woken when the device has nothing more to do."""
    runtime = FakeRuntime()
    batcher = await _pipelined(runtime, BatchLimits(max_batch=4))
    for _ in range(20):  # whichever lane is the faster
        first = await blocked(runtime, batcher)
        both = _submit(batcher, 2)
        await until(lambda: len(batcher._queue._computing) == 2)
        last = _submit(batcher, 1)
        runtime.gate.set()
        await asyncio.wait_for(asyncio.gather(first, *both, *last), 10)
    await batcher.stop(5)


async def test_a_batch_is_held_open_as_with_one_worker() -> None:
    """What `max_wait_s` promises holds for a GPU."""
    runtime = FakeRuntime()
    batcher = await _pipelined(runtime, BatchLimits(max_batch=3, max_wait_s=60))
    one = _submit(batcher, 1)
    await asyncio.sleep(0.05)
    assert runtime.calls == 0
    others = _submit(batcher, 2)
    await asyncio.wait_for(asyncio.gather(*one, *others), 10)
    assert [len(batch) for batch in runtime.batches] == [3]
    await batcher.stop(5)


async def test_a_batch_behind_another_is_timed_from_that_ones_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise it would seem twice as long, and images that can be in time would be refused."""
    clock = Clock(monkeypatch)
    queue = BatchQueue(Computer(FakeRuntime(), 2), BatchLimits(2), 1, lambda _job: None)

    def take_two(lane: int) -> Batch:
        put(queue, 2)
        return take(queue, lane)

    first, second = take_two(0), take_two(1)
    clock.advance(0.2)
    queue.done(0, first)
    clock.advance(0.2)
    queue.done(1, second)
    assert queue._clock.expected(2) == pytest.approx(0.2)

    first, _ = take_two(0), take_two(1)  # two batches of 0.2 s are ahead, and its own
    with pytest.raises(DeadlineUnreachableError):
        put(queue, deadline=clock.now + 0.5)
    clock.advance(0.2)
    queue.done(0, first)  # the other begins now, whenever it was taken
    with pytest.raises(DeadlineUnreachableError):
        put(queue, deadline=clock.now + 0.35)
    put(queue, 4)
    # The batch being computed, two that wait, half of one for itself: one after the other.
    assert queue._needed_s(math.inf, clock.now) == pytest.approx(0.7)


async def test_batches_ahead_take_their_time_from_when_the_first_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The device has no time left to take for one that should have ended."""
    clock = Clock(monkeypatch)
    queue = BatchQueue(Computer(FakeRuntime(), 1), BatchLimits(1), 1, lambda _job: None)
    queue._clock.observe(1, 1.0)
    for lane in (0, 1):
        put(queue)
        take(queue, lane)
        clock.advance(0.2)
    assert queue._needed_s(math.inf, clock.now) == pytest.approx(2 * 1.0 - 0.4 + 1.0)
    assert queue._needed_s(math.inf, clock.now + 60.0) == 1.0


async def test_a_batch_that_was_overtaken_says_nothing_of_how_long_one_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that failed and was repeated image by image seems as short as what was left of it."""
    clock = Clock(monkeypatch)
    queue = BatchQueue(Computer(FakeRuntime(), 1), BatchLimits(1), 1, lambda _job: None)
    put(queue, 2)
    first, second = take(queue, 0), take(queue, 1)
    clock.advance(0.2)
    queue.done(1, second)
    queue.done(0, first)
    assert queue._clock.expected(1) == pytest.approx(0.2)


async def test_a_batch_that_another_lane_took_leaves_its_rest_waiting() -> None:
    """Of five, four leave while the other lane holds them open; the fifth is no half batch behind them."""
    queue = BatchQueue(Computer(FakeRuntime(), 4), BatchLimits(4, 0.5), 1, lambda _job: None)

    put(queue, 4)
    first, taken = take(queue, 0), list[Batch | None]()
    put(queue, 2)
    lane = threading.Thread(target=lambda: taken.append(queue.take(1)))
    lane.start()
    time.sleep(0.05)
    with queue._condition:
        queue.done(0, first)
        put(queue, 3)
        second = take(queue, 0)
    time.sleep(0.7)
    assert taken == []
    queue.done(0, second)
    queue.close(DrainingError)
    lane.join()
    assert [len(batch.jobs) for batch in taken if batch] == [1]


async def test_a_queue_shorter_than_half_a_batch_fills_the_other_lane() -> None:
    """As many as may wait at all are enough."""
    runtime = FakeRuntime()
    batcher = await _pipelined(runtime, BatchLimits(max_batch=8, queue_size=2))
    first = await blocked(runtime, batcher)
    rest = _submit(batcher, 2)
    await until(lambda: runtime.calls == 2)
    runtime.gate.set()
    await asyncio.gather(first, *rest)
    await batcher.stop(5)
