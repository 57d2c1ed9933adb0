"""What becomes of queries when the runtime or its device fails."""

import asyncio

import pytest

from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.errors import (
    DeviceLostError,
    DrainingError,
    WorkerDeadError,
)
from tests.batching import blocked, query, started
from tests.conftest import until
from tests.fakes import FakeRuntime

pytestmark = pytest.mark.anyio


async def test_a_failed_warm_up_is_the_starters_error() -> None:
    """And the worker is gone."""
    runtime = FakeRuntime()

    def fail() -> None:
        raise RuntimeError("no such kernel")

    runtime.on_warm_up = fail
    batcher = Batcher(runtime, BatchLimits())
    with pytest.raises(RuntimeError, match="no such kernel"):
        await batcher.start()
    await until(lambda: not batcher.alive)
    with pytest.raises(WorkerDeadError):
        await batcher.submit(query(0.1))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dying_worker_takes_nobody_with_it() -> None:
    """Whatever kills the thread, those who wait get an answer and later ones are refused."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1))
    first = await blocked(runtime, batcher)
    second = asyncio.create_task(batcher.submit(query(0.1)))
    await until(lambda: batcher.depth == 1)

    def die() -> None:
        raise SystemExit

    runtime.on_predict = die
    runtime.gate.set()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(e) for e in found] == [WorkerDeadError, WorkerDeadError]
    await until(lambda: not batcher.alive)
    with pytest.raises(WorkerDeadError):
        await batcher.submit(query(0.2))


async def test_a_device_that_hangs_is_given_up() -> None:
    """How long it has computed is known; all hear of it; a thread that comes back after all just ends."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1))
    assert batcher.computing_s == 0.0
    first = await blocked(runtime, batcher)
    second = asyncio.create_task(batcher.submit(query(0.1)))
    await until(lambda: batcher.depth == 1 and batcher.computing_s > 0.05)
    batcher.give_up()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(e) for e in found] == [DeviceLostError, DeviceLostError]
    assert batcher.computing_s == 0.0
    with pytest.raises(DeviceLostError):
        await batcher.submit(query(0.2))
    runtime.gate.set()
    await until(lambda: not batcher.alive)


async def test_a_device_that_is_lost_while_the_service_ends_is_what_is_said() -> None:
    """To those who wait and to those who come later, whatever closes the queue before or after."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1))
    first = await blocked(runtime, batcher)
    batcher._queue.close(DrainingError)
    batcher.give_up()
    with pytest.raises(DeviceLostError):
        await first
    batcher._queue.close(DrainingError)
    with pytest.raises(DeviceLostError):
        await batcher.submit(query(0.2))
    runtime.gate.set()
    await until(lambda: not batcher.alive)


async def test_a_lost_device_ends_the_worker_and_answers_everybody() -> None:
    """Those being computed, those waiting and those who come later hear the same; the owner is told once."""
    runtime = FakeRuntime()
    deaths: list[str] = []
    batcher = Batcher(runtime, BatchLimits(max_batch=1), on_death=lambda: deaths.append("dead"))
    await batcher.start()
    first = await blocked(runtime, batcher)
    second = asyncio.create_task(batcher.submit(query(0.1)))
    await until(lambda: batcher.depth == 1)

    def lose() -> None:
        raise DeviceLostError("an illegal memory access")

    runtime.on_predict = lose
    runtime.gate.set()
    found = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(e) for e in found] == [DeviceLostError, DeviceLostError]
    await until(lambda: deaths == ["dead"] and not batcher.alive)
    with pytest.raises(DeviceLostError):
        await batcher.submit(query(0.2))


async def test_batches_stay_halved_after_the_device_ran_out_of_memory() -> None:
    """Everybody is answered, and the same does not happen again."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=4))
    first = await blocked(runtime, batcher)
    rest = [asyncio.create_task(batcher.submit(query(i / 10))) for i in range(8)]
    await until(lambda: batcher.depth == 8)
    runtime.largest_batch = 2
    runtime.gate.set()
    found = await asyncio.gather(first, *rest)
    assert [round(s.prediction.score, 3) for s in found[1:]] == [i / 10 for i in range(8)]
    assert [len(b) for b in runtime.batches] == [1, 2, 2, 2, 2]
    assert runtime.calls == 6  # one of them ran out of memory
    await batcher.stop(5)
