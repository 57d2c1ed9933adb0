"""From starting to drained: the engine inspects only when the golden image proved it can."""

import asyncio
import logging
import threading
import time
from dataclasses import replace

import pytest

from app.engine import lifecycle
from app.engine.inspection import Order
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapOptions
from app.engine.state import State
from app.engine.verdict import Result
from app.errors import (
    DeadlinePassedError,
    DeviceLostError,
    DrainingError,
    NotReadyError,
    QueueFullError,
    StartError,
    StartingError,
    WorkerDeadError,
)
from app.runtime.protocol import Runtime
from app.settings import Settings
from tests.conftest import until
from tests.fakes import GOLDEN, FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

ORDER = Order(encode(grey(200)), "x", None, HeatmapOptions())


async def test_ready_after_the_golden_image_went_through_the_queue() -> None:
    """Warm-up first, then the golden image as a query like any other."""
    runtime = FakeRuntime()
    engine = Engine(Settings())
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        assert runtime.batches == [["golden"]]
        snapshot = engine.snapshot()
        assert abs(snapshot.golden_score - 0.4) < 1e-3
        assert snapshot.alive
        assert snapshot.model is not None
        assert snapshot.model.name == "fake"
        with engine.admitted() as inspector:
            inspection = await inspector.inspect(ORDER)
        assert inspection.verdict.result is Result.NG
    assert engine.snapshot().state is State.DRAINING
    with pytest.raises(DrainingError), engine.admitted():
        pass


async def test_a_wrong_golden_score_is_never_ready() -> None:
    """A device that computes wrongly must not judge parts."""
    engine = Engine(Settings())
    runtime = FakeRuntime(replace(GOLDEN, score=0.41))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is not State.STARTING)
        snapshot = engine.snapshot()
        assert snapshot.state is State.NOT_READY
        assert "0.410000" in snapshot.reason
        assert snapshot.alive
        with pytest.raises(NotReadyError), engine.admitted():
            pass


@pytest.mark.parametrize(
    "golden", [replace(GOLDEN, png=b"no picture"), replace(GOLDEN, product="poison")]
)
async def test_a_golden_image_that_cannot_be_inspected_is_never_ready(golden: object) -> None:
    """Whatever stands in its way."""
    engine = Engine(Settings())
    runtime = FakeRuntime(golden, poison=["poison"])  # type: ignore[arg-type]
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is not State.STARTING)
        assert engine.snapshot().state is State.NOT_READY


async def test_while_it_starts_it_refuses() -> None:
    """Loading and warming up take seconds; the answer is immediate."""
    runtime = FakeRuntime()
    warm = threading.Event()
    runtime.on_warm_up = lambda: warm.wait(10)
    engine = Engine(Settings())
    async with engine.running(lambda: runtime):
        await until(lambda: "warming" in engine.snapshot().reason)
        with pytest.raises(StartingError, match="warming up"), engine.admitted():
            pass
        assert engine.snapshot().alive
        warm.set()
        await until(lambda: engine.snapshot().state is State.READY)


@pytest.mark.parametrize("error", [StartError("no such bundle"), RuntimeError("surprise")])
async def test_a_failed_start_is_reported_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The process is told to end; an expected failure is one line, a bug has its traceback."""
    failures: list[str] = []
    engine = Engine(Settings())
    engine.on_failure = lambda: failures.append("failed")

    def load() -> Runtime:
        raise error

    with caplog.at_level(logging.ERROR):
        async with engine.running(load):
            await until(lambda: engine.snapshot().state is State.FAILED)
            assert not engine.snapshot().alive
            with pytest.raises(NotReadyError), engine.admitted():
                pass
    assert failures == ["failed"]
    (record,) = caplog.records
    assert str(error) in record.getMessage()
    assert bool(record.exc_info) == isinstance(error, RuntimeError)


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_worker_shows() -> None:
    """Not alive, not ready, and callers are told to try again."""
    runtime = FakeRuntime()
    engine = Engine(Settings())

    def die() -> None:
        raise SystemExit

    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.on_predict = die
        with engine.admitted() as inspector, pytest.raises(WorkerDeadError):
            await inspector.inspect(ORDER)
        await until(lambda: not engine.snapshot().alive)
        assert engine.snapshot().state is State.FAILED
        with pytest.raises(WorkerDeadError), engine.admitted():
            pass


async def test_wrong_numbers_show_and_right_ones_again() -> None:
    """The golden image is repeated; the service refuses while it has the wrong score, and recovers."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.bias = 0.01
        await until(lambda: engine.snapshot().state is State.NOT_READY)
        assert "scored 0.41" in engine.snapshot().reason
        assert engine.snapshot().alive
        with pytest.raises(NotReadyError), engine.admitted():
            pass
        runtime.bias = 0.0
        await until(lambda: engine.snapshot().state is State.READY)


async def test_a_hung_device_shows_within_an_interval() -> None:
    """Not ready, but alive: its thread still runs. When it answers again, so does the service."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.gate.clear()
        await until(lambda: engine.snapshot().state is State.NOT_READY)
        assert "not inspected within 0.1 s" in engine.snapshot().reason
        assert engine.snapshot().alive
        assert engine.snapshot().golden_score == pytest.approx(0.4)  # the last there was
        runtime.gate.set()
        await until(lambda: engine.snapshot().state is State.READY)


async def test_a_lost_device_ends_the_process() -> None:
    """Who waits hears it; the process is told to end."""
    runtime = FakeRuntime()
    failures: list[str] = []
    engine = Engine(Settings())
    engine.on_failure = lambda: failures.append("failed")

    def lose() -> None:
        raise DeviceLostError("an illegal memory access")

    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.on_predict = lose
        with engine.admitted() as inspector, pytest.raises(DeviceLostError):
            await inspector.inspect(ORDER)
        await until(lambda: failures == ["failed"])
        assert engine.snapshot().state is State.FAILED
        assert not engine.snapshot().alive


async def test_a_device_that_hangs_for_long_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits hears it, though the thread that computes never returns."""
    monkeypatch.setattr(lifecycle, "HUNG_S", 0.3)
    runtime = FakeRuntime()
    failures: list[str] = []
    engine = Engine(Settings(golden_interval_s=0.2, grace_time_s=1))
    engine.on_failure = lambda: failures.append("failed")
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.gate.clear()
        with engine.admitted() as inspector:
            tasks = [asyncio.create_task(inspector.inspect(ORDER)) for _ in range(20)]
            await until(lambda: failures == ["failed"])
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in found} == {DeviceLostError}
        assert engine.snapshot().state is State.FAILED
        assert not engine.snapshot().alive
    (record,) = [r for r in caplog.records if "hangs" in r.getMessage()]
    assert record.exc_info is None
    runtime.gate.set()


async def test_a_device_whose_batch_takes_long_is_not_asked_for_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scrape would hang as the batch does, and the event loop with it."""
    monkeypatch.setattr(lifecycle, "SILENT_S", 0.05)
    runtime = FakeRuntime()
    engine = Engine(Settings(grace_time_s=1))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        assert engine.device_memory()
        runtime.gate.clear()
        with engine.admitted() as inspector:
            waiting = asyncio.create_task(inspector.inspect(ORDER))
            await until(lambda: not engine.device_memory())
            runtime.gate.set()
            await waiting
        assert engine.device_memory()


@pytest.mark.parametrize("stage", ["load", "warm-up"])
async def test_a_start_that_never_ends_ends_the_process(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any other start that fails: a device that hung may hang its next process too."""
    monkeypatch.setattr(lifecycle, "WARM_UP_S", 0.1)
    runtime, go_on = FakeRuntime(), threading.Event()
    if stage == "warm-up":
        runtime.on_warm_up = lambda: go_on.wait(10)

    def load() -> FakeRuntime:
        if stage == "load":
            go_on.wait(10)
        return runtime

    engine = Engine(Settings(grace_time_s=1))
    async with engine.running(load):
        await until(lambda: engine.snapshot().state is State.FAILED)
        assert not engine.snapshot().alive
        go_on.set()


async def test_a_load_that_is_timed_out_by_its_disk_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A network drive's time-out is not the start's."""

    def load() -> FakeRuntime:
        raise TimeoutError("the drive does not answer")

    engine = Engine(Settings(grace_time_s=1))
    async with engine.running(load):
        await until(lambda: engine.snapshot().state is State.FAILED)
    assert "the drive does not answer" in caplog.text


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
