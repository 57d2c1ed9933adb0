"""What must hold when things go wrong at the worst moment: each of these was once got wrong."""

import asyncio
import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.engine.batcher import Batcher
from app.engine.image_threads import Stage
from app.engine.inspector import Inspector, Order
from app.engine.lifecycle import Engine, State
from app.engine.render import HeatmapKind, HeatmapOptions
from app.engine.waiting import BatchLimits
from app.engine.worker import Computer
from app.errors import (
    DeadlinePassedError,
    DeviceLostError,
    DrainingError,
    InferenceError,
    NotReadyError,
)
from app.runtime.protocol import OutOfDeviceMemoryError, Query
from app.settings import Settings
from tests.conftest import until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

ORDER = Order(encode(grey(200)), "x", None, HeatmapOptions(HeatmapKind.NONE))


async def test_no_verdict_leaves_a_model_that_is_known_to_be_wrong() -> None:
    """A part that was inspected already gets an error when the golden image has just failed."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)

        async def inspect() -> None:
            with engine.admitted() as inspector:
                await inspector.inspect(ORDER)
                runtime.bias = -0.3  # now it would say OK
                await until(lambda: engine.snapshot().state is State.NOT_READY)

        with pytest.raises(NotReadyError):
            await inspect()
        runtime.bias = 0.0
        await until(lambda: engine.snapshot().state is State.READY)
        with engine.admitted() as inspector:
            await inspector.inspect(ORDER)


@pytest.mark.parametrize("bias_afterwards", [0.0, None], ids=["right again", "late"])
async def test_a_wrong_score_is_not_forgotten_while_a_part_is_inspected(
    bias_afterwards: float | None,
) -> None:
    """A golden image that passes later, or is late, does not vouch for what was computed before."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)

        async def inspect() -> None:
            with engine.admitted() as inspector:
                await inspector.inspect(ORDER)
                runtime.bias = -0.3
                await until(lambda: engine.snapshot().state is State.NOT_READY)
                if bias_afterwards is None:
                    runtime.gate.clear()
                    await until(lambda: not engine._wrong)
                    return
                runtime.bias = bias_afterwards
                await until(lambda: engine.snapshot().state is State.READY)

        with pytest.raises(NotReadyError, match="golden"):
            await inspect()
        runtime.gate.set()


async def test_a_slow_golden_image_does_not_spoil_what_is_under_way() -> None:
    """Lateness closes the door; verdicts already computed by a right model still leave."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        with engine.admitted() as inspector:
            await inspector.inspect(ORDER)
            runtime.gate.clear()
            await until(lambda: engine.snapshot().state is State.NOT_READY)
        runtime.gate.set()


async def test_a_device_lost_at_the_first_golden_image_ends_the_process() -> None:
    """There is nothing to wait for: the engine has failed, and says so once."""
    runtime = FakeRuntime()

    def lose() -> None:
        raise DeviceLostError("gone")

    runtime.on_predict = lose
    engine, failures = Engine(Settings()), []
    engine.on_failure = lambda: failures.append(True)
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.FAILED)
        assert not engine.snapshot().alive
        assert failures == [True]


async def test_probes_do_not_ask_the_device() -> None:
    """A device that raises when asked for its memory costs the metric, not the probe."""
    runtime = FakeRuntime()

    def memory() -> dict[str, int]:
        raise RuntimeError("CUDA error")

    runtime.memory = memory  # type: ignore[method-assign]
    engine = Engine(Settings())
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        assert engine.device_memory() == {}


async def test_a_part_of_an_accepted_batch_passes_a_shutdown() -> None:
    """The batch was admitted before the drain: its images are inspected, new requests are not."""
    engine = Engine(Settings())
    async with engine.running(FakeRuntime):
        await until(lambda: engine.snapshot().state is State.READY)
        with engine.admitted():
            drained = engine.drain()
            with engine.admitted(part=True) as inspector:
                await inspector.inspect(ORDER)
            with pytest.raises(DrainingError), engine.admitted():
                pass
        await drained


async def _inspector(runtime: FakeRuntime, threads: int = 1) -> tuple[Inspector, Batcher, Engine]:
    """Return an inspector with a pool of its own, through an engine that is never ready."""
    engine = Engine(Settings(decode_threads=threads))
    batcher = Batcher(runtime, BatchLimits())
    await batcher.start()
    return Inspector(runtime, batcher, engine._pool, threads, 10_000_000), batcher, engine


async def test_slow_drawings_do_not_refuse_quick_inspections() -> None:
    """After heat maps that took seconds, an inspection without one has all of its time."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    inspector._conclude_s[HeatmapKind.OVERLAY, True] = 60.0
    for options in (HeatmapOptions(HeatmapKind.NONE), HeatmapOptions(size_px=None)):
        deadline = time.perf_counter() + 5.0
        order = Order(encode(grey(200)), "x", None, options, deadline=deadline)
        assert (await inspector.inspect(order)).verdict.score > 0.7
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_orders_given_up_while_they_wait_keep_nothing() -> None:
    """Nothing waits inside the pool: images whose deadline passed are not held by its queue."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    busy = threading.Event()
    engine._pool.submit(busy.wait)
    await inspector._threads._acquire(Stage.OPEN, 0.0)  # the pool's only thread is taken
    deadline = time.perf_counter() + 0.05
    order = Order(ORDER.image, "x", None, ORDER.heatmap, deadline=deadline)
    outcomes = await asyncio.gather(
        *(inspector.inspect(order) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(o, DeadlinePassedError) for o in outcomes)
    assert engine._pool._work_queue.qsize() == 0
    busy.set()
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_an_urgent_image_is_decoded_before_all_that_wait() -> None:
    """Too many images to decode do not make the golden image late, whose deadline is the latest."""
    runtime = FakeRuntime()
    inspector, batcher, engine = await _inspector(runtime)
    opened: list[int] = []
    prepare = runtime.prepare

    def noted(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        opened.append(int(image[0, 0, 0]))
        return prepare(image)

    runtime.prepare = noted  # type: ignore[method-assign]
    await inspector._threads._acquire(Stage.OPEN, 0.0)  # the pool's only thread is taken
    end = time.perf_counter() + 60.0
    hurried = replace(ORDER, deadline=end)
    golden = Order(encode(grey(102)), "x", None, ORDER.heatmap, deadline=end + 60.0, urgent=True)
    waiting = [asyncio.create_task(inspector.inspect(o)) for o in (hurried, hurried, golden)]
    await asyncio.sleep(0)
    inspector._threads._release()
    await asyncio.gather(*waiting)
    assert opened == [102, 200, 200]
    await batcher.stop(1.0)
    engine._pool.shutdown()


async def test_work_after_the_end_of_the_grace_time_is_refused_not_failed() -> None:
    """The pool is gone: 503, the service is shutting down; no internal error."""
    inspector, batcher, engine = await _inspector(FakeRuntime())
    engine._pool.shutdown()
    with pytest.raises(DrainingError):
        await inspector.inspect(ORDER)
    await batcher.stop(1.0)


def test_another_failure_after_too_little_memory_is_that_images_alone() -> None:
    """Out of memory once, then a ValueError: one image fails, the worker lives."""
    runtime, calls = FakeRuntime(), []

    def fail() -> None:
        calls.append(1)
        raise OutOfDeviceMemoryError if len(calls) == 1 else ValueError("odd")

    runtime.on_predict = fail
    query = Query(runtime.prepare(grey(9)), "x")
    (outcome,) = Computer(runtime, 8).compute([query])
    assert isinstance(outcome, InferenceError)


async def test_a_batch_is_not_held_open_past_a_deadline() -> None:
    """Held open for ten seconds by the settings, a query due in half a second is computed in time."""
    runtime = FakeRuntime()
    batcher = Batcher(runtime, BatchLimits(max_wait_s=10.0))
    await batcher.start()
    query = Query(runtime.prepare(grey(200)), "x")
    for _ in range(2):  # the second time it is known how long a batch takes
        scored = await batcher.submit(query, time.perf_counter() + 0.5)
        assert scored.batch_size == 1
    patient = asyncio.create_task(batcher.submit(query, math.inf))
    await until(lambda: batcher.depth == 1)
    await batcher.submit(query, time.perf_counter() + 0.5)  # takes the patient one along
    assert (await patient).batch_size == 2
    await batcher.stop(1.0)
