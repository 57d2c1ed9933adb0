"""Several workers at one queue: each takes its share, nobody waits for a neighbour's batch."""

import asyncio
import threading
import time

import pytest

from app.engine.batch_queue import BatchQueue
from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.engine.worker import Computer
from app.errors import DeviceLostError, DrainingError
from tests.batching import Clock, put, query, started, take
from tests.conftest import until
from tests.fakes import FakeRuntime

pytestmark = pytest.mark.anyio


async def _lanes(runtime: FakeRuntime, lanes: int, max_batch: int = 8) -> Batcher:
    runtime.lanes = lanes
    return await started(runtime, BatchLimits(max_batch))


def _submit(batcher: Batcher, *values: float) -> list["asyncio.Task[float]"]:
    async def score(value: float) -> float:
        return (await batcher.submit(query(value))).prediction.score

    return [asyncio.create_task(score(value)) for value in values]


async def test_two_images_are_computed_at_the_same_time() -> None:
    """On two lanes: either waits inside the runtime for the other."""
    runtime = FakeRuntime()
    runtime.on_predict = threading.Barrier(2, timeout=5).wait
    batcher = await _lanes(runtime, lanes=2)
    assert await asyncio.gather(*_submit(batcher, 0.25, 0.5)) == [0.25, 0.5]
    assert len(runtime.threads) == 2
    assert not all(runtime.alone)  # the first may have been alone when it was taken
    await batcher.stop(5)


async def test_lanes_hold_no_batch_open() -> None:
    """Each takes its share at once: an image that waited for others would only be late."""
    runtime = FakeRuntime()
    runtime.lanes = 2
    batcher = await started(runtime, BatchLimits(max_wait_s=60))
    assert await asyncio.wait_for(asyncio.gather(*_submit(batcher, 0.25)), 10) == [0.25]
    await batcher.stop(5)


async def test_lanes_share_what_waits() -> None:
    """Of two lanes each takes half its share: of five that wait two, of the three left one at a time."""
    runtime = FakeRuntime()
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=2, max_batch=4)
    first = _submit(batcher, 0.0, 0.125)
    await until(lambda: runtime.calls == 2)
    rest = _submit(batcher, 0.25, 0.375, 0.5, 0.625, 0.75)
    await until(lambda: batcher.depth == 5)
    runtime.gate.set()
    await asyncio.gather(*first, *rest)
    assert sorted(len(batch) for batch in runtime.batches) == [1, 1, 1, 1, 1, 2]
    await batcher.stop(5)


async def test_a_batch_is_no_larger_than_is_useful() -> None:
    """However many wait, and whatever the limit allows."""
    runtime = FakeRuntime()
    runtime.useful_batch = 2
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=1)
    first = _submit(batcher, 0.0)
    await until(lambda: runtime.calls == 1)
    rest = _submit(batcher, 0.25, 0.375, 0.5, 0.625, 0.75)
    await until(lambda: batcher.depth == 5)
    runtime.gate.set()
    await asyncio.gather(*first, *rest)
    assert [len(batch) for batch in runtime.batches] == [1, 2, 2, 1]
    await batcher.stop(5)


async def test_a_lone_image_has_all_cores_and_always_the_same_thread() -> None:
    """A thread that has used several cores keeps helpers: one such thread is enough."""
    runtime = FakeRuntime()
    batcher = await _lanes(runtime, lanes=3)
    for value in (0.0, 0.25, 0.5):
        await asyncio.gather(*_submit(batcher, value))
    assert runtime.alone == [True] * 3
    assert len(runtime.threads) == 1
    await batcher.stop(5)


async def test_a_lane_that_is_stuck_holds_nobody_up() -> None:
    """The others go on, and the stop waits for all of them."""
    runtime = FakeRuntime()
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=2)
    stuck = _submit(batcher, 0.75)
    await until(lambda: runtime.calls == 1)
    stuck_gate, runtime.gate = runtime.gate, threading.Event()
    runtime.gate.set()
    for value in (0.0, 0.25, 0.5):
        assert await asyncio.gather(*_submit(batcher, value)) == [value]
    stopping = asyncio.create_task(batcher.stop(10))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    stuck_gate.set()
    await stopping
    assert await asyncio.gather(*stuck) == [0.75]
    assert not batcher.alive


async def test_stop_gives_up_what_a_stuck_lane_computes() -> None:
    """And only that."""
    runtime = FakeRuntime()
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=2)
    stuck = _submit(batcher, 0.75)
    await until(lambda: runtime.calls == 1)
    stuck_gate, runtime.gate = runtime.gate, threading.Event()
    runtime.gate.set()
    other = _submit(batcher, 0.25)
    await until(lambda: runtime.calls == 2)
    await batcher.stop(0.05)
    found = await asyncio.gather(*stuck, *other, return_exceptions=True)
    assert isinstance(found[0], DrainingError)
    assert found[1] == 0.25
    stuck_gate.set()


async def test_a_device_lost_on_one_lane_is_lost_for_all() -> None:
    """Everybody is answered, every thread ends, the owner is told once."""
    runtime = FakeRuntime()
    runtime.lanes = 2
    deaths: list[str] = []
    batcher = Batcher(runtime, BatchLimits(2), on_death=lambda: deaths.append("dead"))
    await batcher.start()
    both = threading.Barrier(2, timeout=5)

    def lose_one() -> None:
        if both.wait() == 0:
            raise DeviceLostError("gone")

    runtime.on_predict = lose_one
    found = await asyncio.gather(*_submit(batcher, 0.25, 0.5, 0.75), return_exceptions=True)
    lost = [type(e) for e in found].count(DeviceLostError)
    assert lost in (2, 3)  # the other lane's image may have been ready already
    await until(lambda: not batcher.alive and deaths == ["dead"])
    with pytest.raises(DeviceLostError):
        await batcher.submit(query(0.1))


async def test_lanes_share_the_largest_batch_rounded_up() -> None:
    """Eight images at once on three lanes are three for each; a share rounded down may be none at all."""
    runtime = FakeRuntime()
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=3)
    first = _submit(batcher, 0.0, 0.0, 0.0)
    await until(lambda: runtime.calls == 3)
    rest = _submit(batcher, *[0.5] * 18)
    await until(lambda: batcher.depth == 18)
    runtime.gate.set()
    await asyncio.gather(*first, *rest)
    assert max(len(batch) for batch in runtime.batches) == 3
    await batcher.stop(5)


async def test_a_lane_that_hangs_is_not_hidden_by_one_that_works() -> None:
    """The oldest batch says for how long the device has been silent, or a hung one is never given up."""
    runtime = FakeRuntime()
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=2)
    stuck = _submit(batcher, 0.75)
    await until(lambda: runtime.calls == 1 and batcher.computing_s > 0.1)
    other = _submit(batcher, 0.25)
    await until(lambda: runtime.calls == 2)
    assert batcher.computing_s > 0.1
    runtime.gate.set()
    await asyncio.gather(*stuck, *other)
    await batcher.stop(5)


async def test_an_image_with_others_behind_it_is_not_alone() -> None:
    """All cores for the first would be all cores for its neighbour's image too, a moment later."""
    runtime = FakeRuntime()
    runtime.gate.clear()
    batcher = await _lanes(runtime, lanes=2)
    with batcher._queue._condition:  # no lane looks before both wait
        waiting = _submit(batcher, 0.25, 0.5)
        await asyncio.sleep(0)
    await until(lambda: runtime.calls == 2)
    assert runtime.alone == [False, False]
    runtime.gate.set()
    await asyncio.gather(*waiting)
    await batcher.stop(5)


async def test_a_batch_on_a_part_of_the_device_is_timed_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many began or ended beside it."""
    clock = Clock(monkeypatch)
    queue = BatchQueue(Computer(FakeRuntime(), 1), BatchLimits(2), 2, lambda _job: None)
    put(queue, 2)
    first, second = take(queue, 0), take(queue, 1)
    for lane, batch in ((1, second), (0, first)):
        clock.advance(0.2)
        queue.done(lane, batch)
    assert queue._clock.expected(1) == pytest.approx(0.3)  # of 0.2 and 0.4


class _HungThread:
    """A worker thread that never ends, and for how long it was waited for each time."""

    def __init__(self) -> None:
        self.waited_s: list[float] = []

    def is_alive(self) -> bool:
        return True

    def join(self, timeout_s: float) -> None:
        self.waited_s.append(timeout_s)
        time.sleep(timeout_s)


async def test_the_time_for_stopping_is_that_of_all_lanes_together() -> None:
    """Sixteen lanes that hang do not make a shutdown sixteen times as long."""
    batcher = await _lanes(FakeRuntime(), lanes=2)
    await batcher.stop(5)
    hung = [_HungThread(), _HungThread()]
    batcher._threads = hung  # type: ignore[assignment]
    await batcher.stop(0.05)
    assert [thread.waited_s[0] > 0 for thread in hung] == [True, False]
