"""A device that hangs between two golden images that are far apart."""

import asyncio

import pytest

from app.engine import lifecycle
from app.engine.inspection import Order
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapKind, HeatmapOptions
from app.engine.state import State
from app.errors import DeviceLostError
from app.settings import Settings
from tests.conftest import until
from tests.fakes import FakeRuntime, encode, grey

pytestmark = pytest.mark.anyio

ORDER = Order(encode(grey(200)), "x", None, HeatmapOptions(HeatmapKind.NONE))


async def test_a_device_that_hangs_is_noticed_however_far_apart_golden_images_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process is told to end after `HUNG_S` in one batch, not when the next golden image is due."""
    monkeypatch.setattr(lifecycle, "HUNG_S", 0.3)
    runtime, failures = FakeRuntime(), list[str]()
    engine = Engine(Settings(golden_interval_s=3600, grace_time_s=1))
    engine.on_failure = lambda: failures.append("failed")
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)
        runtime.gate.clear()
        with engine.admitted() as inspector:
            waiting = asyncio.create_task(inspector.inspect(ORDER))
            await until(lambda: failures == ["failed"])
            with pytest.raises(DeviceLostError):
                await waiting
    runtime.gate.set()
