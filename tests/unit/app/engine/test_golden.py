"""The golden image in service: what it vouches for, and what it does not."""

import math
import time

import pytest

from app.engine.inspection import Order
from app.engine.lifecycle import Engine
from app.engine.render import HeatmapKind, HeatmapOptions
from app.engine.state import State
from app.errors import DeviceLostError, NotReadyError
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


async def test_a_golden_image_without_a_number_is_a_wrong_one() -> None:
    """A device that answers NaN computed no better a moment ago: a part that was inspected gets an error."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)

        async def inspect() -> None:
            with engine.admitted() as inspector:
                await inspector.inspect(ORDER)
                runtime.bias = math.nan
                await until(lambda: engine.snapshot().state is State.NOT_READY)

        with pytest.raises(NotReadyError, match="prediction_invalid"):
            await inspect()


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
        # A probe may see the dead thread before the engine hears of it.
        await until(lambda: failures == [True])
        assert engine.snapshot().state is State.FAILED
        assert not engine.snapshot().alive


async def test_the_first_golden_image_may_take_longer_than_an_interval() -> None:
    """Nobody relies on it yet, and a cold device is slow: it is ready at once, not at the second try."""
    runtime, slow = FakeRuntime(), [0.5]
    runtime.on_predict = lambda: time.sleep(slow.pop() if slow else 0.0)
    engine = Engine(Settings(golden_interval_s=0.6))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is not State.STARTING)
        assert engine.snapshot().state is State.READY


async def test_a_golden_image_during_the_shutdown_opens_no_door() -> None:
    """A load balancer that asks meanwhile hears of the shutdown; verdicts of a wrong model stay in."""
    runtime = FakeRuntime()
    engine = Engine(Settings(golden_interval_s=0.2))
    async with engine.running(lambda: runtime):
        await until(lambda: engine.snapshot().state is State.READY)

        async def inspect() -> None:
            with engine.admitted():
                engine.drain()
                runtime.bias = 0.3
                await until(lambda: engine._wrong)
                assert engine.snapshot().state is State.DRAINING
                with pytest.raises(NotReadyError), engine.admitted(part=True):
                    pass  # an image of a batch that was accepted before
                runtime.bias = 0.0
                await until(lambda: not engine._wrong)
                assert engine.snapshot().state is State.DRAINING

        with pytest.raises(NotReadyError):
            await inspect()
