"""From starting to ready: the engine inspects only when the golden image proved it can."""

import logging
import threading
from dataclasses import replace

import pytest

from app.engine import lifecycle
from app.engine.lifecycle import Engine
from app.engine.state import State
from app.engine.verdict import Result
from app.errors import DrainingError, NotReadyError, StartError, StartingError
from app.runtime.protocol import Runtime
from app.settings import Settings
from tests.conftest import until
from tests.fakes import GOLDEN, ORDER, FakeRuntime

pytestmark = pytest.mark.anyio


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
