"""Several workers at one queue: each takes its share, nobody waits for a neighbour's batch."""

import asyncio
import threading

import pytest

from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.errors import DeviceLostError, DrainingError
from tests.batching import query, started
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
