"""While it serves: wrong numbers show, and so does a worker or a device that is dead or hangs."""

import asyncio

import pytest

from app.engine import lifecycle
from app.engine.lifecycle import Engine
from app.engine.state import State
from app.errors import DeviceLostError, NotReadyError, WorkerDeadError
from app.settings import Settings
from tests.conftest import until
from tests.fakes import ORDER, FakeRuntime

pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize("interval_s", [0.2, 3600])
async def test_a_device_that_hangs_for_long_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, interval_s: float
) -> None:
    """However far apart golden images are; who waits hears it, though the thread that computes never ends."""
    monkeypatch.setattr(lifecycle, "HUNG_S", 0.3)
    runtime = FakeRuntime()
    failures: list[str] = []
    engine = Engine(Settings(golden_interval_s=interval_s, grace_time_s=1))
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
