"""Over a real socket: callers who send on without waiting for their answers."""

import asyncio

import pytest

from tests.conftest import until
from tests.fakes import FakeRuntime
from tests.raw_http import calling, inspection
from tests.serving import listening

pytestmark = pytest.mark.anyio


async def test_a_request_that_waits_for_another_keeps_its_own_deadline() -> None:
    """It runs from its arrival: when the one before has taken too long, this one is late."""
    runtime = FakeRuntime()
    async with listening(runtime) as (_, port), calling(port) as caller:
        runtime.gate.clear()
        await caller.send(inspection() + _within(100))
        await until(lambda: runtime.calls == 2)  # the golden image was the first
        await asyncio.sleep(0.15)
        runtime.gate.set()
        assert (await caller.answer()).status == 200
        late = await caller.answer()
        assert late.problem["code"] == "deadline_passed"
        assert float(late.headers["server-timing"].split("dur=")[-1]) >= 100


async def test_a_caller_who_hangs_up_takes_its_running_request_along() -> None:
    """Its place is free at once, though another request had been sent behind it."""
    runtime = FakeRuntime()
    async with listening(runtime) as (engine, port):
        runtime.gate.clear()
        async with calling(port) as caller:
            await caller.send(_within(3_600_000) + inspection())
            await until(lambda: runtime.calls == 2)
            assert engine.snapshot().inflight == 1
        await until(lambda: engine.snapshot().inflight == 0)


def _within(deadline_ms: int) -> bytes:
    return inspection().replace(b"/v1/detect", b"/v1/detect?deadline_ms=%d" % deadline_ms, 1)
