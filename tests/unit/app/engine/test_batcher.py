"""The queue's promise: every accepted query is answered once, with its own result, or was cancelled."""

import asyncio
import math
import threading
import time

import pytest

from app.engine.batch_queue import BatchQueue
from app.engine.batcher import Batcher
from app.engine.waiting import BatchLimits
from app.engine.worker import Computer, Scored
from app.errors import (
    DeadlinePassedError,
    DeadlineUnreachableError,
    DrainingError,
    QueueFullError,
)
from tests.batching import blocked, put, query, started, take
from tests.conftest import WAIT_S, until
from tests.fakes import FakeRuntime

pytestmark = pytest.mark.anyio


async def test_what_waits_is_computed_together() -> None:
    """While the device is busy a batch gathers, up to its limit."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=3))
    first = await blocked(runtime, batcher)
    rest = [asyncio.create_task(batcher.submit(query(i / 10, str(i)))) for i in range(5)]
    await until(lambda: batcher.depth == 5)
    runtime.gate.set()
    found = await asyncio.gather(first, *rest)
    assert runtime.batches == [["first"], ["0", "1", "2"], ["3", "4"]]
    assert [s.batch_size for s in found] == [1, 3, 3, 3, 2, 2]
    assert [round(s.prediction.score, 3) for s in found[1:]] == [0.0, 0.1, 0.2, 0.3, 0.4]
    await batcher.stop(5)


async def test_one_thread_of_its_own_owns_the_runtime() -> None:
    """Never the event loop's thread, never two."""
    runtime = FakeRuntime()
    warmed: list[int] = []
    runtime.on_warm_up = lambda: warmed.append(threading.get_ident())
    batcher = await started(runtime, BatchLimits())
    for i in range(4):
        await batcher.submit(query(i / 4))
    assert runtime.threads == set(warmed)
    assert threading.get_ident() not in runtime.threads
    await batcher.stop(5)


async def test_the_earliest_deadline_goes_first() -> None:
    """Order of arrival among equals."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1))
    first = await blocked(runtime, batcher)
    now = time.perf_counter()
    deadlines = {"late": now + 90, "none": math.inf, "soon": now + 60, "none too": math.inf}
    rest = []
    for name, deadline in deadlines.items():
        rest.append(asyncio.create_task(batcher.submit(query(0.5, name), deadline)))
        await asyncio.sleep(0)
    await until(lambda: batcher.depth == 4)
    runtime.gate.set()
    await asyncio.gather(first, *rest)
    assert runtime.batches == [["first"], ["soon"], ["late"], ["none"], ["none too"]]
    await batcher.stop(5)


async def test_a_full_queue_refuses_at_once() -> None:
    """And takes queries again when there is room."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(queue_size=2))
    first = await blocked(runtime, batcher)
    rest = [asyncio.create_task(batcher.submit(query(0.1))) for _ in range(2)]
    await until(lambda: batcher.depth == 2)
    with pytest.raises(QueueFullError):
        await batcher.submit(query(0.2))
    runtime.gate.set()
    await asyncio.gather(first, *rest)
    assert (await batcher.submit(query(0.25))).prediction.score == 0.25
    await batcher.stop(5)


async def _two_waiting(batcher: Batcher) -> list["asyncio.Task[Scored]"]:
    """Submit `gone` and `stays` behind what is being computed."""
    tasks = [
        asyncio.create_task(batcher.submit(query(value, name)))
        for value, name in ((0.1, "gone"), (0.2, "stays"))
    ]
    await until(lambda: batcher.depth == 2)
    return tasks


async def test_a_cancelled_query_leaves_the_queue_before_it_costs_anything() -> None:
    """Its neighbours are untouched."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits())
    first = await blocked(runtime, batcher)
    gone, stays = await _two_waiting(batcher)
    gone.cancel()
    await until(lambda: batcher.depth == 1)
    runtime.gate.set()
    await first
    assert round((await stays).prediction.score, 3) == 0.2
    assert ["stays"] in runtime.batches
    assert all("gone" not in batch for batch in runtime.batches)
    await batcher.stop(5)


async def test_a_query_cancelled_at_its_turn_is_not_computed() -> None:
    """Though its waiter had no time yet to take it out of the queue."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits())
    first = await blocked(runtime, batcher)
    gone, stays = await _two_waiting(batcher)
    gone.cancel()
    runtime.gate.set()
    end = time.monotonic() + WAIT_S
    while len(runtime.batches) < 2 and time.monotonic() < end:
        time.sleep(0.001)  # the worker's turn, not the loop's
    assert runtime.batches == [["first"], ["stays"]]
    await asyncio.gather(first, stays)
    await batcher.stop(5)


async def test_a_batch_is_held_open_for_the_wait_and_no_longer() -> None:
    """Two that arrive apart share a batch; a full batch leaves at once."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=2, max_wait_s=60))
    one = asyncio.create_task(batcher.submit(query(0.1, "one")))
    await asyncio.sleep(0.02)
    assert runtime.batches == []
    two = asyncio.create_task(batcher.submit(query(0.2, "two")))
    await asyncio.wait_for(asyncio.gather(one, two), 10)
    assert runtime.batches == [["one", "two"]]
    await batcher.stop(5)


async def test_stop_finishes_what_was_accepted() -> None:
    """Nothing accepted is dropped; nothing new is taken."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1, max_wait_s=60))
    tasks = [await blocked(runtime, batcher)]
    tasks += [asyncio.create_task(batcher.submit(query(i / 10))) for i in range(3)]
    await until(lambda: batcher.depth == 3)
    stopping = asyncio.create_task(batcher.stop(10))
    await asyncio.sleep(0)
    with pytest.raises(DrainingError):
        await batcher.submit(query(0.9))
    runtime.gate.set()
    await stopping
    assert [round(s.prediction.score, 3) for s in await asyncio.gather(*tasks)] == [0, 0, 0.1, 0.2]
    assert not batcher.alive


async def test_stop_waits_for_nobody_who_might_join() -> None:
    """A batch that is held open for a minute is computed at once when no other image can come."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=2, max_wait_s=60))
    alone = asyncio.create_task(batcher.submit(query(0.25)))
    await until(lambda: batcher.depth == 1)
    await batcher.stop(10)
    assert (await alone).prediction.score == 0.25


async def test_stop_gives_up_after_the_grace_time() -> None:
    """A hung device cannot hang the shutdown; the waiters hear of it."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1))
    tasks = [await blocked(runtime, batcher), asyncio.create_task(batcher.submit(query(0.1)))]
    await until(lambda: batcher.depth == 1)
    await batcher.stop(0.05)
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(e) for e in found] == [DrainingError, DrainingError]
    runtime.gate.set()


async def test_what_is_late_is_not_computed() -> None:
    """A deadline that passes in the queue ends the wait there; the others are served."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits())
    first = await blocked(runtime, batcher)
    soon = time.perf_counter() + 0.05
    late = asyncio.create_task(batcher.submit(query(0.1, "late"), soon))
    stays = asyncio.create_task(batcher.submit(query(0.2, "stays")))
    await until(lambda: time.perf_counter() > soon)
    runtime.gate.set()
    found = await asyncio.gather(first, late, stays, return_exceptions=True)
    assert [type(e) for e in found] == [Scored, DeadlinePassedError, Scored]
    assert runtime.batches == [["first"], ["stays"]]
    await batcher.stop(5)


async def test_what_must_be_late_is_refused_at_once() -> None:
    """Behind images of 50 ms each, one that has 60 ms left does not stand a chance; one that has time waits."""
    runtime = FakeRuntime()
    runtime.on_predict = lambda: time.sleep(0.05)
    batcher = await started(runtime, BatchLimits(max_batch=1))
    await batcher.submit(query(0.1))
    first = await blocked(runtime, batcher)
    second = asyncio.create_task(batcher.submit(query(0.2)))
    await until(lambda: batcher.depth == 1)
    with pytest.raises(DeadlineUnreachableError, match="ms are needed"):
        await batcher.submit(query(0.3, "late"), time.perf_counter() + 0.06)
    patient = asyncio.create_task(batcher.submit(query(0.4), time.perf_counter() + 60))
    runtime.gate.set()
    await asyncio.gather(first, second, patient)
    assert ["late"] not in runtime.batches
    await batcher.stop(5)


async def test_an_idle_worker_takes_whatever_has_time_left() -> None:
    """One slow batch must not make it refuse for ever."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1))
    batcher._queue._clock.observe(1, 90.0)
    scored = await batcher.submit(query(0.25), time.perf_counter() + 60)
    assert scored.prediction.score == 0.25
    await batcher.stop(5)


async def test_an_urgent_query_goes_to_the_head_of_a_full_queue() -> None:
    """The golden image must get through when the line sends more than can be computed, or it stops the line."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_batch=1, queue_size=1))
    batcher._queue._clock.observe(1, 60.0)
    first = await blocked(runtime, batcher)
    waits = asyncio.create_task(batcher.submit(query(0.1, "waits"), time.perf_counter() + 600))
    patient = asyncio.create_task(batcher.submit(query(0.2, "golden"), urgent=True))
    await until(lambda: batcher.depth == 2)
    soon = time.perf_counter() + 90  # less than two images are expected to take
    hurried = asyncio.create_task(batcher.submit(query(0.2, "hurried"), soon, urgent=True))
    await until(lambda: batcher.depth == 3)
    runtime.gate.set()
    await asyncio.gather(first, waits, patient, hurried)
    assert runtime.batches[1:] == [["hurried"], ["golden"], ["waits"]]
    await batcher.stop(5)


async def test_a_batch_is_not_held_open_past_a_deadline() -> None:
    """Held open for a minute by the settings, a query due in two seconds is computed in time."""
    runtime = FakeRuntime()
    batcher = await started(runtime, BatchLimits(max_wait_s=60.0))
    for _ in range(2):  # the second time it is known how long a batch takes
        scored = await batcher.submit(query(0.8), time.perf_counter() + 2.0)
        assert scored.batch_size == 1
    patient = asyncio.create_task(batcher.submit(query(0.8), math.inf))
    await until(lambda: batcher.depth == 1)
    await batcher.submit(query(0.8), time.perf_counter() + 2.0)  # takes the patient one along
    assert (await patient).batch_size == 2
    await batcher.stop(1.0)


async def test_a_batch_is_held_open_for_no_longer_than_all_of_it_leaves_time() -> None:
    """Two images of 10 s together, due in 20 s, begin at once: of one alone half of the time would be left."""
    queue = BatchQueue(Computer(FakeRuntime(), 3), BatchLimits(3, 60.0), 1, lambda _job: None)
    began = time.perf_counter()
    for size in (1, 2):
        queue._clock.observe(size, 5.0 * size)
        put(queue, deadline=began + 20.0)
    assert len(take(queue, 0).jobs) == 2
    assert time.perf_counter() < began + 5.0
