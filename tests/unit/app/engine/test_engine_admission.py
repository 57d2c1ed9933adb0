"""Who is admitted, for how long, and what becomes of them when the engine drains."""

import asyncio
import time
from dataclasses import replace

import pytest

from app.engine.lifecycle import Engine
from app.engine.state import State
from app.engine.verdict import Result
from app.errors import DeadlinePassedError, DrainingError, QueueFullError
from app.settings import Settings
from tests.conftest import until
from tests.fakes import ORDER, FakeRuntime

pytestmark = pytest.mark.anyio


async def test_admission_is_bounded() -> None:
    """Before a body is read; so memory is bounded too."""
    runtime = FakeRuntime()
    engine = Engine(Settings(queue_size=2, max_batch=1))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        with engine.admitted(), engine.admitted(), engine.admitted():
            assert engine.snapshot().inflight == 3
            with pytest.raises(QueueFullError), engine.admitted():
                pass
        assert engine.snapshot().inflight == 0
        with engine.admitted():
            pass


async def test_draining_gives_up_after_the_grace_time() -> None:
    """Who still waits then is told so, while there is a connection to tell it on."""
    runtime = FakeRuntime()
    engine = Engine(Settings(grace_time_s=1))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.gate.clear()
        with engine.admitted() as inspector:
            waiting = asyncio.create_task(inspector.inspect(ORDER))
            await until(lambda: runtime.calls == 2)
            engine.drain()
            with pytest.raises(DrainingError):
                await waiting
        runtime.gate.set()


async def test_the_grace_time_is_spent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What requests have used of it the queue has not: the process ends before it is killed."""
    engine = Engine(Settings(grace_time_s=1))
    async with engine.running(FakeRuntime):
        await until(lambda: engine.snapshot().state is State.READY)
        batcher, allowed_s = engine._batcher, []
        assert batcher is not None
        stop = batcher.stop

        async def noted(timeout_s: float) -> None:
            allowed_s.append(timeout_s)
            await stop(timeout_s)

        monkeypatch.setattr(batcher, "stop", noted)
        with engine.admitted():
            await engine.drain()
    assert allowed_s[0] < 0.5


async def test_a_late_verdict_is_none() -> None:
    """Neither a slow device nor a deadline that has passed before anything began yields a verdict."""
    runtime = FakeRuntime()
    engine = Engine(Settings())
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.on_predict = lambda: time.sleep(0.1)
        with engine.admitted() as inspector:
            for left_s in (-1.0, 0.05):
                order = replace(ORDER, deadline=time.perf_counter() + left_s)
                with pytest.raises(DeadlinePassedError):
                    await inspector.inspect(order)


async def test_leaving_finishes_what_was_accepted() -> None:
    """SIGTERM drops no accepted image."""
    runtime = FakeRuntime()
    engine = Engine(Settings())
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.gate.clear()
        with engine.admitted() as inspector:
            tasks = [asyncio.create_task(inspector.inspect(ORDER)) for _ in range(3)]
            await until(lambda: runtime.calls == 2)  # the golden image was the first
        asyncio.get_running_loop().call_later(0.05, runtime.gate.set)
        await asyncio.gather(*tasks)
    assert all(task.result().verdict.result is Result.NG for task in tasks)


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
